// Smooth norms: invariants of every fragment of a state,
//
//   n[c] = sqrt(sum over m of psi[m][c]^2 + epsilon^2) - epsilon
//
// zero where psi is, with derivatives of every order there (a plain norm has a kink). No parameters.
#include "gates/gate.hpp"

namespace nbcore {

namespace {

const OptionTable options = {
    real("epsilon", 0.1, 0, 1e3, "where the norm begins to be smooth", true),
};

struct Rule : GateRule {
  static constexpr Reads reads = Reads::nodes;
  double epsilon;

  Rule(const OptionValues& o, const States& inputs, const Surroundings& around) : epsilon(o.real("epsilon")) {
    if (inputs.size() != 1) throw InputError("it takes one input");
    for (const Part& p : inputs[0]) output.push_back({0, around.natural(0), p.groups, p.group});
  }
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
  Real epsilon;

 public:
  Kernels(const Rule& rule, const States&, std::span<const RadialPlace>) : epsilon(Real(rule.epsilon)) {}

  template <class Lane> void forward(Block<Real>& b) const {
    each_register(b, [&](int p, std::ptrdiff_t at_x, std::ptrdiff_t at_n, int d, int row) {
      const Planes<Real> x = b.inputs[0].own(p) + at_x;
      put(b.output.own(p), at_n, length<Lane>(x, d, row) - epsilon);
    });
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    each_register(b, [&](int p, std::ptrdiff_t at_x, std::ptrdiff_t at_n, int d, int row) {
      const Planes<Real> x = b.inputs[0].own(p) + at_x, x_bar = b.inputs[0].own_bar(p) + at_x;
      const Lane along = product(load<Lane>(b.output.own_bar(p), at_n), reciprocal(length<Lane>(x, d, row)));
      for (int m = 0; m < d; ++m) {
        Lane sum = load<Lane>(x_bar, m * row);
        add_product(sum, along, load<Lane>(x, m * row));
        put(x_bar, m * row, sum);
      }
    });
  }

 private:
  /// sqrt(x^2 + epsilon^2) of one register of channels
  template <class Lane> Lane length(Planes<Real> x, int d, int row) const {
    Lane square{};
    for (int m = 0; m < d; ++m) add_product(square, load<Lane>(x, m * row), load<Lane>(x, m * row));
    return square_root(square + epsilon * epsilon);
  }
  /// f(part, element of the state, element of the output, 2l+1, row) for every register of channels of every node
  template <class F> void each_register(const Block<Real>& b, F f) const {
    const Layout<Real>& layout = *b.inputs[0].layout;
    for (int p = 0; p < layout.size(); ++p) {
      const int d = layout[p].dim(), row = layout.row(p);
      for (int i = 0; i < b.n; ++i)
        for (int c = 0; c < row; c += width<Real>)
          f(p, std::ptrdiff_t(i) * d * row + c, std::ptrdiff_t(i) * row + c, d, row);
    }
  }
};

}  // namespace

NB_GATE(norm, "Smooth norms of fragments, n = sqrt(|psi|^2 + epsilon^2) - epsilon")

}  // namespace nbcore
