// What this library was built with.
#pragma once
#include <string>

namespace nbcore {

struct BuildInfo {
  std::string isa, compiler;
  bool openmp;
};
BuildInfo build_info();

}  // namespace nbcore
