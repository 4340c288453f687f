// The full Clebsch-Gordan product of a state with itself, all pairs of channels (eq. 11, factorised: the double sum
// over children of psi_i x psi_j x r_i x r_j is A x A, with A = sum_i psi_i x r_i).
//
//   out[s, p, q, L][m][a b] = sum over m1, m2 of  C[m1][m2][m]  A_p[m1][a] A_q[m2][b]          p <= q: exchange adds
//   nothing new
//
// With n_blocks = S the channels of A are S interleaved sets (one per radial function, s = 0, 1, ...), and only
// channels of the same set are multiplied, as in the four sums of eq. (11). Sets are interleaved over the channels of a
// group (density: a group per species) or over groups (zeroth_order, radial "all"). No parameters; a mix gate follows.
#include "gates/gate.hpp"
#include "so3/clebsch_gordan.hpp"

namespace nbcore {

template <class Real> class TensorProduct : public GateOf<TensorProduct<Real>, Real> {
  static constexpr int w = width<Real>;
  struct Term {
    int m1, m2, m3;
    Real c;
  };
  struct Product {
    int s, p, q, out;  // set, parts of A, part of the output
    std::vector<Term> terms;
  };
  std::vector<Product> products;
  int n_blocks;
  std::vector<std::vector<std::vector<int>>> place;  // [part][set] positions of its channels in a row of A
  std::vector<int> size;                             // [part] channels of a set, padded
  std::vector<std::ptrdiff_t> start;                 // [part] compact copy of set 0: [set][m][size]
  std::ptrdiff_t compact = 0;

 public:
  TensorProduct(const Options& spec, const std::vector<std::vector<Part>>& inputs, Surroundings& around) {
    if (inputs.size() != 1) throw InputError("gate tensor_product: takes one input");
    const int l_max = spec.whole("l_max", 2, 0, max_l_network);
    n_blocks = spec.whole("n_blocks", 1, 1, max_radial);
    const std::string over = spec.get<std::string>("blocks_over", "channels");
    if (over != "channels" && over != "groups")
      throw InputError(
          message("gate tensor_product: blocks_over must be \"channels\" or \"groups\", got \"", over, "\""));
    const Layout<Real> layout(inputs[0]);
    for (int p = 0; p < layout.size(); ++p) {
      const int n = layout[p].channels(), n_interleaved = over == "groups" ? layout[p].groups : layout[p].group;
      if (n_interleaved % n_blocks)
        throw InputError(
            message("gate tensor_product: ", n_interleaved, " ", over, " cannot be cut into n_blocks = ", n_blocks));
      place.emplace_back(n_blocks);
      for (int c = 0; c < n; ++c)
        place[p][(over == "groups" ? c / layout[p].group : c) % n_blocks].push_back(layout.position(p, c));
      size.push_back(padded<Real>(n / n_blocks));
      start.push_back(compact);
      compact += std::ptrdiff_t(n_blocks) * layout[p].dim() * size.back();
    }
    for (int s = 0; s < n_blocks; ++s)
      for (int p = 0; p < layout.size(); ++p)
        for (int q = p; q < layout.size(); ++q)
          for (int L = std::abs(layout[p].l - layout[q].l); L <= std::min(layout[p].l + layout[q].l, l_max); ++L) {
            const int parity = layout[p].parity * layout[q].parity;
            if (around.o3 && parity != (L % 2 ? -1 : 1)) continue;
            Product product{s, p, q, int(this->output.size()), {}};
            const std::vector<double> C = so3::real_clebsch_gordan(layout[p].l, layout[q].l, L);
            for (int m1 = 0, k = 0; m1 < layout[p].dim(); ++m1)
              for (int m2 = 0; m2 < layout[q].dim(); ++m2)
                for (int m3 = 0; m3 <= 2 * L; ++m3, ++k)
                  if (C[k] != 0) product.terms.push_back({m1, m2, m3, Real(C[k])});
            this->output.push_back({L, parity, int(place[p][s].size()), int(place[q][s].size())});
            products.push_back(std::move(product));
          }
    if (products.empty()) throw InputError("gate tensor_product: no product has l <= l_max");
  }

  template <class Lane> void forward(Block<Real>& b) const {
    using Scalar = ScalarOf<Lane>;
    const Planes<Real> A = b.scratch->take_planes(compact, is_dual<Lane>);
    for (int i = 0; i < b.n; ++i) {
      gather<Lane>(b.inputs[0], i, A);
      for (const Product& x : products) {
        const Planes<Real> a = A + set(b, x.p, x.s), c = A + set(b, x.q, x.s);
        each_row(b.output, x, i, [&](int k, std::ptrdiff_t row, std::ptrdiff_t offset) {
          const Planes<Real> out = b.output.own(x.out) + offset;
          for (int n = 0; n < size[x.q]; n += w) {
            for (int m3 = 0; m3 < (*b.output.layout)[x.out].dim(); ++m3) store(out, m3 * row + n, Lane{});
            for (const Term& t : x.terms) {
              Lane sum = load<Lane>(out, t.m3 * row + n);
              add_product(sum, product(t.c, load_scalar<Scalar>(a, t.m1 * size[x.p] + k)),
                          load<Lane>(c, t.m2 * size[x.q] + n));
              store(out, t.m3 * row + n, sum);
            }
          }
        });
      }
    }
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    using Scalar = ScalarOf<Lane>;
    constexpr bool dual = is_dual<Lane>;
    const Planes<Real> A = b.scratch->take_planes(compact, dual), A_bar = b.scratch->take_planes(compact, dual);
    for (int i = 0; i < b.n; ++i) {
      gather<Lane>(b.inputs[0], i, A);
      std::memset(A_bar.value, 0, compact * sizeof(Real));
      if (dual) std::memset(A_bar.dot, 0, compact * sizeof(Real));
      for (const Product& x : products) {
        const std::ptrdiff_t at_a = set(b, x.p, x.s), at_c = set(b, x.q, x.s);
        const Planes<Real> a = A + at_a, c = A + at_c, a_bar = A_bar + at_a, c_bar = A_bar + at_c;
        each_row(b.output, x, i, [&](int k, std::ptrdiff_t row, std::ptrdiff_t offset) {
          const Planes<Real> out_bar = b.output.own_bar(x.out) + offset;
          for (const Term& t : x.terms) {
            Lane sum{};
            const Scalar a_k = product(t.c, load_scalar<Scalar>(a, t.m1 * size[x.p] + k));
            for (int n = 0; n < size[x.q]; n += w) {
              const Lane o = load<Lane>(out_bar, t.m3 * row + n);
              add_product(sum, o, load<Lane>(c, t.m2 * size[x.q] + n));
              Lane c_sum = load<Lane>(c_bar, t.m2 * size[x.q] + n);
              add_product(c_sum, a_k, o);
              store(c_bar, t.m2 * size[x.q] + n, c_sum);
            }
            Real value = 0, dot = 0;
            for (int k_lane = 0; k_lane < w; ++k_lane) {
              value += value_of(sum)[k_lane];
              if constexpr (dual) dot += sum.dot[k_lane];
            }
            a_bar.value[t.m1 * size[x.p] + k] += t.c * value;
            if constexpr (dual) a_bar.dot[t.m1 * size[x.p] + k] += t.c * dot;
          }
        });
      }
      each_channel(
          b.inputs[0], i,
          [&](std::ptrdiff_t in_state, std::ptrdiff_t in_copy) {
            b.inputs[0].bar.value[in_state] += A_bar.value[in_copy];
            if constexpr (dual) b.inputs[0].bar.dot[in_state] += A_bar.dot[in_copy];
          },
          true);
    }
  }

 private:
  std::ptrdiff_t set(const Block<Real>& b, int p, int s) const {
    return start[p] + std::ptrdiff_t(s) * (*b.inputs[0].layout)[p].dim() * size[p];
  }
  /// f(channel of A_p, distance of components, first element) for every group of an output part of node i
  template <class F> void each_row(const State<Real>& out, const Product& x, int i, F f) const {
    const std::ptrdiff_t row = out.layout->row(x.out);
    for (int k = 0; k < int(place[x.p][x.s].size()); ++k)
      f(k, row, i * row * (*out.layout)[x.out].dim() + k * size[x.q]);
  }
  /// f(element of the state (x or bar), element of the compact copy) for all channels of node i
  template <class F> void each_channel(const State<Real>& state, int i, F f, bool bar) const {
    for (int p = 0; p < state.layout->size(); ++p) {
      const int d = (*state.layout)[p].dim(), row = state.layout->row(p);
      const std::ptrdiff_t node = (bar ? state.bar_node : state.node) + i;
      const std::ptrdiff_t first = state.layout->offset(p, bar ? state.bar_rows : state.rows) + node * d * row;
      for (int s = 0; s < n_blocks; ++s)
        for (int m = 0; m < d; ++m)
          for (int k = 0; k < int(place[p][s].size()); ++k)
            f(first + m * row + place[p][s][k], start[p] + (std::ptrdiff_t(s) * d + m) * size[p] + k);
    }
  }
  template <class Lane> void gather(const State<Real>& state, int i, Planes<Real> A) const {
    std::memset(A.value, 0, compact * sizeof(Real));
    if (is_dual<Lane>) std::memset(A.dot, 0, compact * sizeof(Real));
    each_channel(
        state, i,
        [&](std::ptrdiff_t in_state, std::ptrdiff_t in_copy) {
          A.value[in_copy] = state.x.value[in_state];
          if constexpr (is_dual<Lane>) A.dot[in_copy] = state.x.dot[in_state];
        },
        false);
  }
};

NB_GATE(TensorProduct, "tensor_product",
        "Full Clebsch-Gordan product of a state with itself, all pairs of channels (eq. 11, factorised)", R"({
  "l_max": {"type": "int", "default": 2, "doc": "largest l of the output"},
  "n_blocks": {"type": "int", "default": 1, "doc": "sets of channels, interleaved, that are not multiplied with each other"},
  "blocks_over": {"type": "str", "default": "channels", "doc": "channels: channel c of a group is of set c mod n_blocks; groups: group g is of set g mod n_blocks"}})")

}  // namespace nbcore
