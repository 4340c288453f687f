// Structures and results between NumPy and C++.
#pragma once
#include "potential/graph_builder.hpp"
#include "python/module.hpp"

namespace nbcore::python {

Structure structure_from(const Doubles& positions, const std::vector<int>& numbers, const Doubles& cell,
                         const std::array<bool, 3>& pbc);
/// Leaf states by name, arrays [atom][2l+1][channel]
std::map<std::string, std::vector<double>> leaves_from(const pybind11::dict& leaves);
Doubles array_of(const std::vector<Vec3>& v);
Doubles array_of(const Mat3& m);
pybind11::list arrays_of(const std::vector<std::vector<double>>& values);

}  // namespace nbcore::python
