// A pointwise non-linearity on scalars, y = silu(x) = x / (1 + exp(-x)), scaled by 1.679 so that normal inputs keep
// unit size. The only step outside Fourier space, for readouts; nothing may touch l > 0 so.
#include "gates/gate.hpp"

namespace nbcore {

template <class Real> class Activation : public GateOf<Activation<Real>, Real> {
  static constexpr double norm = 1.6790;

  /// silu and its derivative
  template <class T> static std::pair<T, T> silu(T x) {
    const T s = reciprocal(exponential(-x) + Real(1)), y = x * s;
    return {y * Real(norm), (s + y * (Real(1) - s)) * Real(norm)};
  }

 public:
  Activation(const Options&, const std::vector<std::vector<Part>>& inputs, Surroundings&) {
    if (inputs.size() != 1) throw InputError("gate activation: takes one input");
    for (const Part& p : inputs[0])
      if (p.l != 0 || p.parity < 0) throw InputError("gate activation: scalars of even parity only");
    this->output = inputs[0];
  }

  template <class Lane> void forward(Block<Real>& b) const {
    for (int p = 0; p < b.output.layout->size(); ++p) {
      const Planes<Real> x = b.inputs[0].own(p), y = b.output.own(p);
      for (std::ptrdiff_t k = 0; k < std::ptrdiff_t(b.n) * b.output.layout->row(p); k += width<Real>)
        store(y, k, silu(load<Lane>(x, k)).first);
    }
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    for (int p = 0; p < b.output.layout->size(); ++p) {
      const Planes<Real> x = b.inputs[0].own(p), x_bar = b.inputs[0].own_bar(p), y_bar = b.output.own_bar(p);
      for (std::ptrdiff_t k = 0; k < std::ptrdiff_t(b.n) * b.output.layout->row(p); k += width<Real>) {
        Lane sum = load<Lane>(x_bar, k);
        add_product(sum, load<Lane>(y_bar, k), silu(load<Lane>(x, k)).second);
        store(x_bar, k, sum);
      }
    }
  }
};

NB_GATE(Activation, "activation", "silu on scalars", "{}")

}  // namespace nbcore
