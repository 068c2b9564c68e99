#include "http/stream_threads.h"

namespace similis::http {

bool StreamThreads::has_room() {
  std::lock_guard lock(mutex_);
  tasks_.remove_if([](const Task& task) { return task.done.load(); });
  return !stopping_ && tasks_.size() < max_;
}

bool StreamThreads::start(std::function<void(std::stop_token)> work) {
  // Only the I/O thread adds, so that what had room still has it.
  if (!has_room()) return false;
  std::lock_guard lock(mutex_);
  Task& task = tasks_.emplace_back();
  task.thread = std::jthread([&task, work = std::move(work)](const std::stop_token& stop) {
    work(stop);
    task.done = true;
  });
  return true;
}

void StreamThreads::request_stop() {
  std::lock_guard lock(mutex_);
  stopping_ = true;
  for (Task& task : tasks_) task.thread.request_stop();
}

void StreamThreads::stop() {
  request_stop();
  std::list<Task> tasks;
  {
    std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  tasks.clear();  // joins
}

}  // namespace similis::http
