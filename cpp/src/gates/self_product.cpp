// Node-wise products of a state with itself, channel by channel, up to correlation 3 (eq. 11, factorised; ACE's B
// basis).
//
//   out[L][m] = sum w1 A[L][m] + sum w2 (A A)[L][m] + sum w3 ((A A) A)[L][m]
//
// with weights per species of the node and per channel, in the independent symmetric basis of ops/symmetric_products.
// Products of three: weights on the pairs, summed over pairs that share (l12, l3), coupled once. One register of
// channels goes through the whole program before the next.
#include <cmath>
#include <set>

#include "gates/gate.hpp"
#include "ops/straight_products.hpp"
#include "ops/symmetric_products.hpp"

namespace nbcore {

namespace {

const OptionTable options = {
    whole("l_max", 1, 0, max_l_network, "largest l of the output"),
    whole("correlation", 3, 1, 3, "largest number of factors"),
    choice("kernel", {"auto", "table"},
           "auto: straight-line code where the library has it; table: never, what such code is compared with"),
};

constexpr double most_work = 1.2e9;  // to find independent products, some seconds; l to 6 with parity tracked

struct Rule : GateRule {
  static constexpr Reads reads = Reads::nodes;
  std::shared_ptr<const SymmetricProducts> products;
  int n_species, channels;
  bool straight;  // use straight-line code where there is some

  Rule(const OptionValues& o, const States& inputs, const Surroundings& around)
      : n_species(around.n_species), straight(around.o3 && o.is("kernel", "auto")) {
    if (inputs.size() != 1) throw InputError("it takes one input");
    channels = inputs[0][0].channels();
    std::vector<int> ls;
    for (const Part& p : inputs[0]) {
      if (p.groups != 1 || p.group != channels)
        throw InputError("all parts of the input must have the same channels; mix first");
      if (p.parity != around.natural(p.l)) throw InputError("parts of natural parity expected");
      ls.push_back(p.l);
    }
    if (std::set<int>(ls.begin(), ls.end()).size() < ls.size())
      throw InputError("one part per l is expected; mix first");
    const double work = work_of_symmetric_products(ls, o.whole("l_max"), o.whole("correlation"), around.o3);
    if (work > most_work) throw InputError("these are too many products of three: fewer l, or correlation 2");
    count_terms(std::int64_t(work / most_work * most_terms));
    products = symmetric_products(ls, o.whole("l_max"), o.whole("correlation"), around.o3);
    for (int L : products->outputs) output.push_back({L, around.natural(L), 1, channels});
    parameters.push_back({"w", {n_species, products->n_weights, channels}});
  }
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
  static constexpr int w = width<Real>;
  std::shared_ptr<const SymmetricProducts> shared;
  const SymmetricProducts& s;
  int row;
  const StraightProducts* straight = nullptr;

  template <class Lane> struct Slots {  // one register of channels of one node
    Lane *A, *pairs, *sums, *out;
  };
  template <class Lane> Slots<Lane> take(Scratch<Real>& scratch) const {
    Lane* all = scratch.template take_registers<Lane>(std::size_t(s.n_A + s.n_pairs + s.n_sums + s.n_out));
    return {all, all + s.n_A, all + s.n_A + s.n_pairs, all + s.n_A + s.n_pairs + s.n_sums};
  }
  template <class Lane> const StraightKernels<Lane>* straight_kernels() const {
    return straight ? &straight->kernels<Lane>() : nullptr;
  }

 public:
  Kernels(const Rule& rule, const States&, std::span<const RadialPlace>)
      : shared(rule.products), s(*shared), row(padded<Real>(rule.channels)) {
    this->overwrites = true;
    if (rule.straight) straight = straight_products(s.ls, s.L_max, s.correlation);
    const std::int64_t channels = rule.channels;
    for (std::int64_t z = 0; z < rule.n_species; ++z) {  // packed [species][register][weight][lane]
      this->packing.begin_class(int(z));
      for (int at = 0; at < row; at += w)
        for (int k = 0; k < s.n_weights; ++k)
          for (int c = at; c < at + w; ++c) {
            if (c >= channels) this->packing.zeros(1);
            else this->packing.weight((z * s.n_weights + k) * channels + c, 1 / std::sqrt(double(s.fan_in[k])));
          }
    }
    this->packing.begin_class(-1);
  }

  template <class Lane> void forward(Block<Real>& b) const {
    const Slots<Lane> x = take<Lane>(*b.scratch);
    const StraightKernels<Lane>* kernels = straight_kernels<Lane>();
    each(b, [&](int i, int c, std::size_t at) {
      const auto weights = registers(b.weights + at);
      rows(b.inputs[0], i, c, false, [&](int slot, Planes<Real> p) { x.A[slot] = load<Lane>(p, 0); });
      if (kernels) {
        kernels->forward(weights, x.A, x.out);
      } else {
        products(weights, x);
        std::fill(x.out, x.out + s.n_out, Lane{});
        s.couple_sums.add(x.sums, x.A, x.out);
        s.each_direct([&](int weight, int from, int to, bool pair) {
          add_product(x.out[to], weights[weight], (pair ? x.pairs : x.A)[from]);
        });
      }
      rows(b.output, i, c, false, [&](int slot, Planes<Real> p) { put(p, 0, x.out[slot]); });
    });
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    const Slots<Lane> x = take<Lane>(*b.scratch), bar = take<Lane>(*b.scratch);
    const StraightKernels<Lane>* kernels = straight_kernels<Lane>();
    const auto straight_line = !kernels ? nullptr : want.parameters ? kernels->adjoint_weights : kernels->adjoint;
    each(b, [&](int i, int c, std::size_t at) {
      const auto weights = registers(b.weights + at);
      const auto weights_bar = registers(b.weights_bar + (want.parameters ? at : 0));
      rows(b.inputs[0], i, c, false, [&](int slot, Planes<Real> p) { x.A[slot] = load<Lane>(p, 0); });
      rows(b.output, i, c, true, [&](int slot, Planes<Real> p) { bar.out[slot] = load<Lane>(p, 0); });
      if (straight_line) {
        straight_line(weights, x.A, bar.out, bar.A, weights_bar);
      } else {
        products(weights, x);
        std::fill(bar.A, bar.A + s.n_A + s.n_pairs + s.n_sums, Lane{});
        s.each_direct([&](int weight, int from, int to, bool pair) {
          add_product((pair ? bar.pairs : bar.A)[from], weights[weight], bar.out[to]);
          if constexpr (want.parameters) add_gradient(weights_bar[weight], bar.out[to], (pair ? x.pairs : x.A)[from]);
        });
        s.couple_sums_a.add(bar.out, x.A, bar.sums);
        s.couple_sums_b.add(bar.out, x.sums, bar.A);
        s.each_summand([&](int weight, int from, int to) {
          add_product(bar.pairs[from], weights[weight], bar.sums[to]);
          if constexpr (want.parameters) add_gradient(weights_bar[weight], bar.sums[to], x.pairs[from]);
        });
        s.couple_pairs_a.add(bar.pairs, x.A, bar.A);
        s.couple_pairs_b.add(bar.pairs, x.A, bar.A);
      }
      rows(b.inputs[0], i, c, true, [&](int slot, Planes<Real> p) {
        if (b.inputs[0].fresh) return put(p, 0, bar.A[slot]);
        Lane sum = load<Lane>(p, 0);
        add_product(sum, Real(1), bar.A[slot]);
        put(p, 0, sum);
      });
    });
  }

 private:
  /// Pairs and sums of one node and register, from the tables
  template <class Lane> void products(Registers<const Real> weights, const Slots<Lane>& x) const {
    std::fill(x.pairs, x.pairs + s.n_pairs + s.n_sums, Lane{});
    s.couple_pairs.add(x.A, x.A, x.pairs);
    s.each_summand([&](int weight, int from, int to) { add_product(x.sums[to], weights[weight], x.pairs[from]); });
  }
  /// f(node, first channel, place of the weights)
  template <class F> void each(Block<Real>& b, F f) const {
    for (int z = 0; z < b.n_species; ++z)
      for (int i = b.species_first[z]; i < b.species_first[z + 1]; ++i)
        for (int c = 0; c < row; c += w) f(i, c, (std::size_t(z) * (row / w) + c / w) * s.n_weights * w);
  }
  /// f(slot, where the register lies) for all components of a state
  template <class F> void rows(const State<Real>& state, int i, int c, bool bar, F f) const {
    for (int p = 0, slot = 0; p < state.layout->size(); ++p) {
      const Planes<Real> part = (bar ? state.own_bar(p) : state.own(p)) + c;
      const int d = (*state.layout)[p].dim();
      for (int m = 0; m < d; ++m) f(slot++, part + (std::ptrdiff_t(i) * d + m) * row);
    }
  }
};

}  // namespace

NB_GATE(self_product,
        "Symmetric products of a state with itself, channel by channel, to correlation 3 (eq. 11, factorised)")

}  // namespace nbcore
