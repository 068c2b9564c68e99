#pragma once

#include <chrono>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/context.h"

namespace similis {

/// Changes below a watched root that wait until they have come to rest: a file that is still being
/// written is not looked at. What has vanished waits twice as long, so that the other end of a move
/// is dealt with first and can take over the row.
class PendingChanges {
 public:
  using Clock = Context::Clock;

  explicit PendingChanges(std::chrono::milliseconds settle) : settle_(settle) {}

  /// Something happened to this file just now.
  void note_file(const std::string& folder, const std::string& name, Clock::time_point now);
  /// This folder went away just now.
  void note_gone_folder(const std::string& folder, Clock::time_point now);

  /// Files by folder.
  using Files = std::map<std::string, std::vector<std::string>>;
  struct Settled {
    Files present;  // at rest for the settle time
    Files absent;   // not there, at rest twice as long
    std::vector<std::string> gone_folders;
    [[nodiscard]] bool empty() const {
      return present.empty() && absent.empty() && gone_folders.empty();
    }
  };
  /// Takes what is due. `exists` tells whether a file is there.
  template <typename Exists>
  Settled take(Clock::time_point now, const Exists& exists) {
    Settled out;
    for (auto folder = files_.begin(); folder != files_.end();) {
      auto& names = folder->second;
      for (auto it = names.begin(); it != names.end();) {
        const auto age = now - it->second;
        if (age < settle_) {
          ++it;
          continue;
        }
        if (exists(folder->first, it->first)) {
          out.present[folder->first].push_back(it->first);
        } else if (age >= 2 * settle_) {
          out.absent[folder->first].push_back(it->first);
        } else {
          ++it;
          continue;
        }
        it = names.erase(it);
        --count_;
      }
      folder = names.empty() ? files_.erase(folder) : std::next(folder);
    }
    for (auto it = gone_folders_.begin(); it != gone_folders_.end();) {
      if (now - it->second < 2 * settle_) {
        ++it;
        continue;
      }
      out.gone_folders.push_back(it->first);
      it = gone_folders_.erase(it);
    }
    return out;
  }

  [[nodiscard]] std::size_t files() const { return count_; }
  void clear();

 private:
  const std::chrono::milliseconds settle_;
  std::map<std::string, std::unordered_map<std::string, Clock::time_point>> files_;
  std::map<std::string, Clock::time_point> gone_folders_;
  std::size_t count_ = 0;
};

}  // namespace similis
