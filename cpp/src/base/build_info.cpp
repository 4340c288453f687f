#include "base/build_info.hpp"

namespace nbcore {

BuildInfo build_info() {
#ifdef _OPENMP
  return {NBCORE_KERNEL_SET, __VERSION__, true};
#else
  return {NBCORE_KERNEL_SET, __VERSION__, false};
#endif
}

}  // namespace nbcore
