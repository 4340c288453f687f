// A state divided by a scalar of its node,
//
//   out[m][c] = psi[m][c] / (offset + rho)
//
// rho being one number per node, the second input: sums over neighbours over how many there are, where these are counted
// smoothly (`density` with one function). A number that does not turn, so out turns as psi does. No parameters. rho must
// stay above -offset; a sum of functions that are not negative does.
#include "gates/gate.hpp"

namespace nbcore {

namespace {

const OptionTable options = {
    real("offset", 1.0, 0, 1e6, "what the scalar is added to", true),
};

struct Rule : GateRule {
  static constexpr Reads reads = Reads::nodes;
  double offset;

  Rule(const OptionValues& o, const States& inputs, const Surroundings&) : offset(o.real("offset")) {
    if (inputs.size() != 2) throw InputError("it takes two inputs, a state and the scalar that divides it");
    const std::span<const Part> scalar = inputs[1];
    if (scalar.size() != 1 || scalar[0].l != 0 || scalar[0].parity < 0 || scalar[0].channels() != 1)
      throw InputError("its second input must be one scalar of even parity");
    output.assign(inputs[0].begin(), inputs[0].end());
  }
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
  using V = Simd<Real>;
  static constexpr int w = width<Real>;
  Real offset;
  std::vector<Buffer<Real>> channels;  // [part][number of a row] one for a channel, zero where the row is filled up

 public:
  Kernels(const Rule& rule, const States& inputs, std::span<const RadialPlace>) : offset(Real(rule.offset)) {
    const Layout<Real> layout = layout_of<Real>(inputs[0]);
    for (int p = 0; p < layout.size(); ++p) {
      channels.emplace_back(layout.row(p)), channels.back().clear();
      for (int c = 0; c < layout[p].channels(); ++c) channels[p][layout.position(p, c)] = 1;
    }
  }

  template <class Lane> void forward(Block<Real>& b) const {
    for (int i = 0; i < b.n; ++i) {
      const auto factor = inverse<Lane>(b, i);
      each_register(b, i, [&](int p, int, std::ptrdiff_t at) {
        put(b.output.own(p), at, product(load<Lane>(b.inputs[0].own(p), at), factor));
      });
    }
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    for (int i = 0; i < b.n; ++i) {
      const auto factor = inverse<Lane>(b, i);
      Lane along{};  // the sum of psi out_bar
      each_register(b, i, [&](int p, int c, std::ptrdiff_t at) {
        const Planes<Real> x_bar = b.inputs[0].own_bar(p);
        const Lane y_bar = load<Lane>(b.output.own_bar(p), at);
        Lane sum = load<Lane>(x_bar, at);
        add_product(sum, factor, y_bar);
        put(x_bar, at, sum);
        add_product(along, product(load_register(channels[p].data() + c), load<Lane>(b.inputs[0].own(p), at)), y_bar);
      });
      const auto total = product(product(factor, factor), lane_sum(along));
      Real* rho_bar = written<Lane>(b.inputs[1].own_bar(0)) + scalar_at(b, i);
      once([&] {
        if constexpr (is_dual<Lane>) *rho_bar -= total.dot;
        else *rho_bar -= total;
      });
    }
  }

 private:
  static std::ptrdiff_t scalar_at(const Block<Real>& b, int i) {
    return i * std::ptrdiff_t(b.inputs[1].layout->row(0));
  }
  /// 1 / (offset + rho) of node i
  template <class Lane> ScalarOf<Lane> inverse(const Block<Real>& b, int i) const {
    const auto rho = load_scalar<ScalarOf<Lane>>(b.inputs[1].own(0), scalar_at(b, i));
    const Real value = 1 / (offset + value_of(rho));
    if constexpr (is_dual<Lane>) return {value, -value * value * rho.dot};
    else return value;
  }
  /// f(part, first number of a register in its row, element of the part) for every register of channels of node i
  template <class F> void each_register(const Block<Real>& b, int i, F f) const {
    const Layout<Real>& layout = *b.inputs[0].layout;
    for (int p = 0; p < layout.size(); ++p) {
      const int d = layout[p].dim(), row = layout.row(p);
      for (int m = 0; m < d; ++m)
        for (int c = 0; c < row; c += w) f(p, c, (std::ptrdiff_t(i) * d + m) * row + c);
    }
  }
};

}  // namespace

NB_GATE(normalise, "A state divided by a scalar of its node, psi / (offset + rho): sums over a count of neighbours")

}  // namespace nbcore
