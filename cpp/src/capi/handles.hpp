// What the handles of the C ABI stand for. A handle is a number that is counted up, never an address: one that was freed
// cannot become another object.
#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <mutex>

#include "base/threads.hpp"
#include "capi/call.hpp"
#include "potential/domain_levels.hpp"
#include "potential/golden.hpp"

namespace nbcore::capi {

inline std::atomic<std::uintptr_t> next_handle = 1;

/// All objects of one kind
template <class T> class Handles {
 public:
  explicit Handles(const char* what) : what_(what) {}

  /// The new object's handle; `C` is the type that the ABI shows
  template <class C> void add(std::shared_ptr<T> object, C** handle) {
    const std::uintptr_t number = next_handle++;
    const ShortLock lock(guard_);
    objects_.emplace(number, std::move(object));
    *handle = reinterpret_cast<C*>(number);
  }
  /// It lives as long as the caller has it. InputError
  std::shared_ptr<T> find(const void* handle) {
    if (handle == nullptr) throw InputError(message(what_, " is NULL"));
    const ShortLock lock(guard_);
    const auto found = objects_.find(reinterpret_cast<std::uintptr_t>(handle));
    if (found == objects_.end())
      throw InputError(message(what_, " is no handle of a loaded ", what_, "; was it freed?"));
    return found->second;
  }
  /// NULL is allowed.
  void free(const void* handle) {
    if (handle == nullptr) return;
    const auto kept = find(handle);  // gone after the lock is given back, or with the last call that runs
    const ShortLock lock(guard_);
    objects_.erase(reinterpret_cast<std::uintptr_t>(handle));
  }

 private:
  const char* what_;
  std::mutex guard_;
  std::map<std::uintptr_t, std::shared_ptr<T>> objects_;
};

/// A model, and the neighbour lists that its calls keep for one another: one for each that ran at the same time.
struct Model {
  std::shared_ptr<Committee> committee;
  std::vector<double> closest;     // [species][species], Angstrom; 0: not known
  std::string name;                // of its file, as errors call it
  std::vector<GoldenCase> golden;  // of the file
  std::string golden_error;        // what is wrong with them, or nothing
  const Potential& potential() const { return committee->first(); }
  /// What evaluations take unless they are told otherwise
  EvaluationOptions defaults();
  /// f(options with a kept list) -> Result
  template <class F> Result with_kept_list(std::size_t n_atoms, EvaluationOptions options, F f) {
    std::unique_ptr<VerletList> list = take(n_atoms);
    struct Return {  // after an error too
      Model& model;
      std::unique_ptr<VerletList>& list;
      std::int64_t before;
      ~Return() { model.give_back(std::move(list), before); }
    } give_back{*this, list, list->searches()};
    options.kept = list.get();
    return f(options);
  }

  std::mutex guard;
  std::vector<std::unique_ptr<VerletList>> lists;
  double skin = 0.5, max_bytes = 0;
  std::int64_t searches = 0;

 private:
  std::unique_ptr<VerletList> take(std::size_t n_atoms);
  void give_back(std::unique_ptr<VerletList> list, std::int64_t searches_before);
  int running_ = 0;  // calls
};

struct Scheme {
  std::mutex guard;
  CompositionScheme scheme;
  bool checked = false;
};

extern Handles<Model> models;
extern Handles<Scheme> schemes;

}  // namespace nbcore::capi
