#include "worker/pool.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/helper_program.h"
#include "base/log.h"
#include "worker/memory_watch.h"
#include "worker/process.h"
#include "worker/protocol.h"

namespace similis {
namespace {

using namespace std::chrono_literals;
using Clock = Context::Clock;

constexpr auto kStartTimeout = 30s;
// A call that is no longer wanted gives its worker this long to finish, which is cheaper than a new
// worker.
constexpr auto kGrace = 250ms;
constexpr auto kMemoryCheck = 20ms;
// After so many failed starts in a row, calls fail at once for a while.
constexpr int kStartsMax = 3;
constexpr auto kStartPause = 10s;

std::string seconds_text(std::chrono::milliseconds time) {
  const auto ms = time.count();
  std::string text = std::to_string(ms / 1000);
  if (ms % 1000 != 0) text += "." + std::to_string(ms % 1000 / 100);
  return text + " s";
}

// The input of a job as a descriptor, with its length.
struct Input {
  File own;  // what was opened for this job
  int fd = -1;
  std::uint64_t bytes = 0;
  Sniffed type;
};

Result<Input> input_of(const File& file, std::string_view name) {
  Input input;
  input.fd = file.fd();
  struct stat info{};
  if (::fstat(input.fd, &info) != 0) return errno_error(errno, "stat", std::string(name));
  if (!S_ISREG(info.st_mode))
    return Error(ErrorCode::unsupported_media, "that is not a regular file");
  input.bytes = static_cast<std::uint64_t>(info.st_size);
  std::byte head[kSniffBytes];
  ssize_t n = -1;
  do n = ::pread(input.fd, head, sizeof head, 0);
  while (n < 0 && errno == EINTR);
  if (n < 0) return errno_error(errno, "read", std::string(name));
  input.type = sniff(std::span<const std::byte>(head, static_cast<std::size_t>(n)), name);
  return input;
}

Result<Input> input_of(const std::filesystem::path& path, std::string_view name) {
  // O_NONBLOCK: a FIFO would else wait for its writer.
  ASSIGN_OR_RETURN(File file, File::open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  ASSIGN_OR_RETURN(Input input, input_of(file, name));
  input.own = std::move(file);
  return input;
}

Result<Input> input_of(std::span<const std::byte> bytes, std::string_view name) {
  Input input;
  input.bytes = bytes.size();
  input.type = sniff(bytes, name);
  if (input.type.kind != SniffKind::picture) return input;  // nobody will read it
  input.own.reset(::memfd_create("similis-picture", MFD_CLOEXEC));
  input.fd = input.own.fd();
  if (!input.own.is_open()) return errno_error(errno, "make", "shared memory for a picture");
  TRY(write_all(input.fd, bytes, "shared memory"));
  return input;
}

// Wakes a poll() when the context is cancelled.
class CancelEvent {
 public:
  explicit CancelEvent(const std::stop_token& token) {
    if (!token.stop_possible()) return;
    event_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    // Without one (descriptors exhausted) cancellation is seen at the next memory check.
    if (event_.is_open()) callback_.emplace(token, Wake{event_.fd()});
  }
  [[nodiscard]] int fd() const { return event_.fd(); }  // -1: poll() passes over it

 private:
  struct Wake {
    int fd;
    void operator()() const {
      const std::uint64_t one = 1;
      (void)!::write(fd, &one, sizeof one);
    }
  };
  File event_;
  std::optional<std::stop_callback<Wake>> callback_;
};

}  // namespace

class WorkerPool::Impl {
 public:
  explicit Impl(const WorkerPoolOptions& options)
      : options_(options), slots_(static_cast<std::size_t>(options.workers)) {
    {
      std::lock_guard lock(mutex_);
      request_start(0);
    }
    keeper_ = std::thread([this] { keep(); });
  }

  ~Impl() {
    {
      std::lock_guard lock(mutex_);
      closing_ = true;
    }
    keeper_wakes_.notify_all();
    keeper_.join();
    // Hang up on all, then wait for each: they leave at the same time.
    std::vector<std::unique_ptr<WorkerProcess>> leaving;
    for (Slot& slot : slots_) {
      if (slot.process) leaving.push_back(std::move(slot.process));
    }
    for (auto& process : leaving) process->hang_up();
    for (auto& process : leaving) process->end(true);
  }

  Result<DecodeOutcome> decode(const Context& ctx, const DecodeJob& job);

  [[nodiscard]] Stats stats() const {
    std::lock_guard lock(mutex_);
    Stats stats = stats_;
    stats.workers =
        static_cast<int>(std::count_if(slots_.begin(), slots_.end(), [](const Slot& slot) {
          return slot.state == SlotState::idle || slot.state == SlotState::busy;
        }));
    return stats;
  }

  [[nodiscard]] int workers_max() const { return options_.workers; }

 private:
  enum class SlotState { empty, starting, idle, busy };
  struct Slot {
    SlotState state = SlotState::empty;
    std::unique_ptr<WorkerProcess> process;  // of idle ones; a busy one's is with its caller
  };
  // A worker on loan to one caller.
  struct Lease {
    std::size_t slot = 0;
    std::unique_ptr<WorkerProcess> process;
  };
  enum class Wait { readable, gone, late, too_much_memory, unwanted };

  // With mutex_ held.
  void request_start(std::size_t slot) {
    slots_[slot].state = SlotState::starting;
    starts_.push_back(slot);
    keeper_wakes_.notify_one();
  }

  // The keeper's thread: it starts all workers, as they end with the thread that started them.
  void keep() {
    std::unique_lock lock(mutex_);
    while (true) {
      keeper_wakes_.wait(lock, [&] { return closing_ || !starts_.empty(); });
      if (closing_) return;
      const std::size_t slot = starts_.front();
      starts_.pop_front();
      lock.unlock();
      auto process = WorkerProcess::spawn(options_.worker, options_.memory_bytes_max);
      lock.lock();
      if (process.ok()) {
        slots_[slot] = {SlotState::idle, std::move(process).value()};
      } else {
        slots_[slot].state = SlotState::empty;
        note_failed_start(process.error().message);
      }
      note_change();
    }
  }

  // With mutex_ held.
  void note_change() {
    ++changes_;
    changed_.notify_all();
  }
  // With mutex_ held.
  void note_failed_start(std::string why) {
    start_complaint_ = std::move(why);
    if (++failed_starts_ >= kStartsMax) no_starts_until_ = Clock::now() + kStartPause;
  }

  Result<Lease> acquire(const Context& ctx);
  void give_back(Lease lease);
  // The worker is of no more use: ends it, and has another started in its place. Returns its wait
  // status.
  int retire(Lease lease, bool restart);
  // Receives the greeting of a worker that was just started. On an error the lease is empty: the
  // worker was given back (cancelled, deadline_exceeded) or is no more (unavailable).
  Status await_ready(const Context& ctx, Lease& lease);
  Wait wait_for(const Context& ctx, const WorkerProcess& process, Clock::time_point limit,
                std::uint64_t anonymous_max) const;
  Result<DecodeOutcome> run(const Context& ctx, const DecodeJob& job, std::string_view name,
                            const Input& input);
  [[nodiscard]] Error too_much_memory() const;
  [[nodiscard]] Error how_it_died(int status) const;

  const WorkerPoolOptions options_;
  std::atomic<std::uint64_t> next_job_{1};

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;  // a slot became idle or empty: changes_ was raised
  std::uint64_t changes_ = 0;
  std::condition_variable keeper_wakes_;
  std::vector<Slot> slots_;
  std::deque<std::size_t> starts_;
  bool closing_ = false;
  bool warned_ = false;
  int failed_starts_ = 0;  // in a row
  std::string start_complaint_;
  Clock::time_point no_starts_until_ = Clock::time_point::min();
  Stats stats_;

  std::thread keeper_;
};

Result<WorkerPool::Impl::Lease> WorkerPool::Impl::acquire(const Context& ctx) {
  std::unique_lock lock(mutex_);
  while (true) {
    std::optional<std::size_t> empty;
    int starting = 0, busy = 0;
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      Slot& slot = slots_[i];
      switch (slot.state) {
        case SlotState::idle:
          slot.state = SlotState::busy;
          return Lease{i, std::move(slot.process)};
        case SlotState::empty:
          empty = empty.value_or(i);
          break;
        case SlotState::starting:
          ++starting;
          break;
        case SlotState::busy:
          ++busy;
          break;
      }
    }
    const bool pausing = failed_starts_ >= kStartsMax && Clock::now() < no_starts_until_;
    if (empty && pausing && starting + busy == 0) {
      return Error(ErrorCode::unavailable, "the decode worker does not start: " + start_complaint_,
                   "Check " + options_.worker.native() + ", or install similis anew.");
    }
    // While starts fail, one at a time is enough.
    if (empty && !pausing && (failed_starts_ == 0 || starting == 0)) request_start(*empty);
    const std::uint64_t seen = changes_;
    auto changed = [&] { return changes_ != seen; };
    if (ctx.deadline == Clock::time_point::max()) {
      changed_.wait(lock, ctx.cancel, changed);
    } else {
      changed_.wait_until(lock, ctx.cancel, ctx.deadline, changed);
    }
    TRY(ctx.check());
  }
}

void WorkerPool::Impl::give_back(Lease lease) {
  std::lock_guard lock(mutex_);
  slots_[lease.slot] = {SlotState::idle, std::move(lease.process)};
  note_change();
}

int WorkerPool::Impl::retire(Lease lease, bool restart) {
  const int status = lease.process->end(false);
  std::lock_guard lock(mutex_);
  slots_[lease.slot].state = SlotState::empty;
  if (restart) {
    ++stats_.restarts;
    request_start(lease.slot);
  }
  note_change();
  return status;
}

WorkerPool::Impl::Wait WorkerPool::Impl::wait_for(const Context& ctx, const WorkerProcess& process,
                                                  Clock::time_point limit,
                                                  std::uint64_t anonymous_max) const {
  const CancelEvent cancel(ctx.cancel);
  pollfd watched[] = {{process.socket(), POLLIN, 0}, {cancel.fd(), POLLIN, 0}};
  Clock::time_point give_up = Clock::time_point::max();  // set once the caller has lost interest
  while (true) {
    const auto now = Clock::now();
    if (now >= limit) return Wait::late;
    if (now >= give_up) return Wait::unwanted;
    if (give_up == Clock::time_point::max() && !ctx.check().ok()) {
      give_up = now + kGrace;
      watched[1].fd = -1;
    }
    auto next = std::min({limit, give_up, now + kMemoryCheck});
    if (give_up == Clock::time_point::max()) next = std::min(next, ctx.deadline);
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(next - now);
    const int ready = ::poll(watched, 2, static_cast<int>(std::max<std::int64_t>(wait.count(), 0)));
    if (ready < 0 && errno != EINTR) return Wait::gone;
    if (ready > 0 && watched[0].revents != 0)
      return (watched[0].revents & POLLIN) != 0 ? Wait::readable : Wait::gone;
    if (ready == 0 && anonymous_bytes(process.pid()) > anonymous_max) return Wait::too_much_memory;
  }
}

Status WorkerPool::Impl::await_ready(const Context& ctx, Lease& lease) {
  if (lease.process->ready) return {};
  const Wait waited = wait_for(ctx, *lease.process, Clock::now() + kStartTimeout, UINT64_MAX);
  if (waited == Wait::unwanted) {
    give_back(std::move(lease));  // it goes on starting, for the next caller
    return ctx.check();
  }
  std::string complaint = "it was not ready within " + seconds_text(kStartTimeout);
  if (waited == Wait::readable || waited == Wait::gone) {
    const std::string bytes = lease.process->receive();
    auto hello = read_hello(bytes);
    if (hello.ok() && hello->protocol == kWorkerProtocol) {
      lease.process->ready = true;
      lease.process->anonymous_bytes_at_rest = hello->anonymous_bytes;
      std::unique_lock lock(mutex_);
      failed_starts_ = 0;
      stats_.missing_sandbox = hello->missing_sandbox;
      const bool warn = !hello->missing_sandbox.empty() && !std::exchange(warned_, true);
      lock.unlock();
      if (warn) {
        log(LogLevel::warning, "pictures are decoded with less protection against hostile files: " +
                                   hello->missing_sandbox);
      }
      return {};
    }
    complaint = bytes.empty() ? lease.process->complaint()
                              : std::string("it is of another version than similis");
  }
  const std::size_t slot = lease.slot;
  const int status = lease.process->end(false);
  if (complaint.empty() && WIFSIGNALED(status))
    complaint = "it ended by signal " + std::to_string(WTERMSIG(status));
  if (complaint.empty()) complaint = "it ended with status " + std::to_string(WEXITSTATUS(status));
  lease.process.reset();
  std::lock_guard lock(mutex_);
  slots_[slot].state = SlotState::empty;
  note_failed_start(complaint);
  note_change();
  return Error(ErrorCode::unavailable, "the decode worker does not start: " + complaint);
}

Error WorkerPool::Impl::too_much_memory() const {
  const std::string mb = std::to_string(options_.memory_bytes_max >> 20);
  return {ErrorCode::too_large, "decoding needed more than " + mb + " MB of memory",
          "Raise decode.memory_max (now " + mb + " MB) to read it."};
}

Error WorkerPool::Impl::how_it_died(int status) const {
  if (WIFEXITED(status) && WEXITSTATUS(status) == kExitOutOfMemory) return too_much_memory();
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
    return {ErrorCode::resource_exhausted,
            "the system ended the decoder, probably for lack of memory",
            "Free some memory and try again."};
  }
  return {ErrorCode::unreadable_media, "the decoder crashed on this file"};
}

Result<DecodeOutcome> WorkerPool::Impl::run(const Context& ctx, const DecodeJob& job,
                                            std::string_view name, const Input& input) {
  JobMessage message;
  message.id = next_job_.fetch_add(1);
  message.file_bytes = input.bytes;
  message.name = name;
  message.request = job.request;
  message.limits = options_.limits;
  const std::string bytes = to_bytes(message);

  // Again only when a worker was found dead before it took the job, which is not the file's doing.
  for (int attempt = 0; attempt < kStartsMax + 1; ++attempt) {
    ASSIGN_OR_RETURN(Lease lease, acquire(ctx));
    if (auto ready = await_ready(ctx, lease); !ready.ok()) {
      if (ready.error().code != ErrorCode::unavailable) return ready.error();
      continue;
    }
    if (!lease.process->send_job(bytes, input.fd)) {
      retire(std::move(lease), true);
      continue;
    }
    const std::uint64_t memory_max =
        lease.process->anonymous_bytes_at_rest + options_.memory_bytes_max;
    Wait waited =
        wait_for(ctx, *lease.process, Clock::now() + options_.picture_timeout, memory_max);
    if (waited == Wait::readable) {
      const std::string answer = lease.process->receive();
      auto reply = read_reply(answer, lease.process->arena(), job.request);
      if (reply.ok() && reply->id == message.id) {
        give_back(std::move(lease));
        const auto* error = std::get_if<Error>(&reply->outcome);
        if (error != nullptr && error->code == ErrorCode::resource_exhausted)
          return DecodeOutcome(too_much_memory());
        return std::move(reply->outcome);
      }
      waited = Wait::gone;  // closed, or saying what no sound worker says
    }
    const int status = retire(std::move(lease), true);
    switch (waited) {
      case Wait::late:
        return DecodeOutcome(
            Error(ErrorCode::too_large,
                  "decoding took longer than " + seconds_text(options_.picture_timeout),
                  "Raise decode.time_max to read it."));
      case Wait::too_much_memory:
        return DecodeOutcome(too_much_memory());
      case Wait::unwanted:
        return ctx.check().error();
      default:
        return DecodeOutcome(how_it_died(status));
    }
  }
  return Error(ErrorCode::unavailable, "no decode worker stays alive", "Try again.");
}

Result<DecodeOutcome> WorkerPool::Impl::decode(const Context& ctx, const DecodeJob& job) {
  TRY(ctx.check());
  TRY(check_request(job.request));
  const auto* path = std::get_if<std::filesystem::path>(&job.source);
  const auto* open = std::get_if<const File*>(&job.source);
  const std::string name =
      !job.name.empty() || path == nullptr ? job.name : path->filename().native();
  auto input = path != nullptr   ? input_of(*path, name)
               : open != nullptr ? input_of(**open, name)
                                 : input_of(std::get<std::span<const std::byte>>(job.source), name);
  if (!input.ok()) return DecodeOutcome(std::move(input).error());
  if (input->type.kind == SniffKind::other) return DecodeOutcome(SkippedFile{input->type});
  if (input->type.kind != SniffKind::picture)
    return DecodeOutcome(not_a_picture_error(input->type));
  if (auto status = check_file_bytes(input->bytes, options_.limits); !status.ok())
    return DecodeOutcome(status.error());
  auto outcome = run(ctx, job, name, *input);
  if (outcome.ok()) {
    std::lock_guard lock(mutex_);
    ++stats_.decoded;
  }
  return outcome;
}

WorkerPool::WorkerPool(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
WorkerPool::~WorkerPool() = default;

Result<std::unique_ptr<WorkerPool>> WorkerPool::start(const WorkerPoolOptions& options) {
  if (::access(options.worker.c_str(), X_OK) != 0) {
    Error error = errno_error(errno, "find the decode worker", options.worker.native());
    error.hint = "Install similis anew: this program belongs to it.";
    return error;
  }
  WorkerPoolOptions fixed = options;
  if (fixed.workers <= 0)
    fixed.workers = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  return std::unique_ptr<WorkerPool>(new WorkerPool(std::make_unique<Impl>(fixed)));
}

Result<DecodeOutcome> WorkerPool::decode(const Context& ctx, const DecodeJob& job) {
  return impl_->decode(ctx, job);
}
WorkerPool::Stats WorkerPool::stats() const {
  return impl_->stats();
}
int WorkerPool::workers_max() const {
  return impl_->workers_max();
}

Result<std::filesystem::path> find_worker() {
  return find_helper_program("similis-worker");
}

}  // namespace similis
