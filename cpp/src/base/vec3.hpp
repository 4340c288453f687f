// Three numbers, three rows: what positions, cells and virials are made of.
#pragma once
#include <array>

namespace nbcore {

using Vec3 = std::array<double, 3>;
using Mat3 = std::array<Vec3, 3>;  // rows

}  // namespace nbcore
