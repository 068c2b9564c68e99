#include "services/pending_changes.h"

namespace similis {

void PendingChanges::note_file(const std::string& folder, const std::string& name,
                               Clock::time_point now) {
  const auto [it, is_new] = files_[folder].insert_or_assign(name, now);
  if (is_new) ++count_;
}

void PendingChanges::note_gone_folder(const std::string& folder, Clock::time_point now) {
  gone_folders_[folder] = now;
}

void PendingChanges::clear() {
  files_.clear();
  gone_folders_.clear();
  count_ = 0;
}

}  // namespace similis
