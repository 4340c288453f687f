// What benchmarks measure besides the library itself, see nbcore/bench.
#include "base/buffer.hpp"
#include "base/machine.hpp"
#include "ops/symmetric_products.hpp"
#include "python/module.hpp"

namespace py = pybind11;

namespace nbcore::python {
namespace {

template <class Real> std::int64_t multiply_adds_of(std::int64_t rounds) {
  std::int64_t count = 0;
  volatile Real total = multiply_adds<Real>(rounds, &count);
  static_cast<void>(total);
  return count;
}

/// Two arrays of n numbers, copied from one to the other
class Copy {
 public:
  explicit Copy(std::size_t n) : from_(n / 8 * 8), to_(n / 8 * 8) { from_.clear(), to_.clear(); }
  void run(int times) { copy_numbers(from_.data(), to_.data(), from_.size(), times); }

 private:
  Buffer<double> from_, to_;
};

}  // namespace

void bind_bench(py::module_& m) {
  using released = py::call_guard<py::gil_scoped_release>;
  m.def("multiply_adds", multiply_adds_of<double>, released(), py::arg("rounds"));
  m.def("multiply_adds_float", multiply_adds_of<float>, released(), py::arg("rounds"));
  py::class_<Copy>(m, "Copy").def(py::init<std::size_t>()).def("run", &Copy::run, released(), py::arg("times"));
  m.def(
      "symmetric_product_terms",
      [](const std::vector<int>& ls, int l_max, int correlation, bool o3) {
        const SymmetricProducts s(ls, l_max, correlation, o3);
        std::size_t summands = 0, direct = 0;
        for (const auto& sum : s.sums) summands += (2 * sum.l12 + 1) * sum.summands.size();
        for (const auto& d : s.direct) direct += 2 * d.L + 1;
        return std::tuple(s.couple_pairs.size(), summands, s.couple_sums.size(), direct);
      },
      py::arg("ls"), py::arg("l_max"), py::arg("correlation"), py::arg("o3"),
      "Terms c x y of the pairs, weighted pairs, terms of the sums, weighted terms straight to the output");
}

}  // namespace nbcore::python
