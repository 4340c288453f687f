// What this library was built with.
#pragma once
#include <string>

namespace nbcore {

struct BuildInfo {
  std::string kernel_set, compiler;
  bool openmp;
};
BuildInfo build_info();

}  // namespace nbcore
