#include "base/build_info.hpp"

#include "base/lanes.hpp"

namespace nbcore {

BuildInfo build_info() {
  const char* isa = register_bytes == 64 ? "AVX-512" : register_bytes == 32 ? "AVX2" : "128-bit vectors";
#ifdef _OPENMP
  return {isa, __VERSION__, true};
#else
  return {isa, __VERSION__, false};
#endif
}

}  // namespace nbcore
