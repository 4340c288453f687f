// A pointwise non-linearity on scalars, y = silu(x), scaled so that normal inputs keep unit size (ops/silu.hpp). The
// only step outside Fourier space, for readouts; nothing may touch l > 0 so.
#include "gates/gate.hpp"
#include "ops/silu.hpp"

namespace nbcore {

namespace {

const OptionTable options = {};

struct Rule : GateRule {
  static constexpr Reads reads = Reads::nodes;

  Rule(const OptionValues&, const States& inputs, const Surroundings&) {
    if (inputs.size() != 1) throw InputError("it takes one input");
    for (const Part& p : inputs[0])
      if (p.l != 0 || p.parity < 0) throw InputError("scalars of even parity only");
    output.assign(inputs[0].begin(), inputs[0].end());
  }
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
 public:
  Kernels(const Rule&, const States&, std::span<const RadialPlace>) {}

  template <class Lane> void forward(Block<Real>& b) const {
    for (int p = 0; p < b.output.layout->size(); ++p) {
      const Planes<Real> x = b.inputs[0].own(p), y = b.output.own(p);
      for (std::ptrdiff_t k = 0; k < std::ptrdiff_t(b.n) * b.output.layout->row(p); k += width<Real>)
        put(y, k, silu(load<Lane>(x, k)).value);
    }
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    for (int p = 0; p < b.output.layout->size(); ++p) {
      const Planes<Real> x = b.inputs[0].own(p), x_bar = b.inputs[0].own_bar(p), y_bar = b.output.own_bar(p);
      for (std::ptrdiff_t k = 0; k < std::ptrdiff_t(b.n) * b.output.layout->row(p); k += width<Real>) {
        Lane sum = load<Lane>(x_bar, k);
        add_product(sum, load<Lane>(y_bar, k), silu(load<Lane>(x, k)).slope);
        put(x_bar, k, sum);
      }
    }
  }
};

}  // namespace

NB_GATE(activation, "silu on scalars")

}  // namespace nbcore
