// Proposition 1: the only linear maps that commute with rotations mix channels, one matrix per part.
//
//   out^l[i] = sum over inputs of  F^l[i] W^l          W^l [inputs' channels][channels]
//
// with one W^l for all nodes, or one for each species of the node; of several inputs each may be of its own kind. To
// scalars a constant may be added, `bias`, the same for all nodes or one per species: scalars do not turn. With `skip`
// the last input is not mixed, but added as it is: a residual network. With `tied` all parts have one and the same W, of
// which a part uses the rows of the inputs that have it.
//
// With algebra "complex" the state is one of complex channels (Part) and W is complex: in the real basis a real matrix
// that repeats its parameters, (re, im) [[W_re, W_im], [-W_im, W_re]]. Real inputs count as complex ones without
// imaginary part.
//
// Weights are scaled by 1/sqrt(number of incoming channels), so that outputs have the size of the inputs, times a
// constant gain per output part, which calibration chooses so that outputs are of order one on the data. A network that
// got further inputs after its training (an element that was added) keeps the number that its weights were scaled by.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "gates/gate.hpp"
#include "ops/mixing.hpp"

namespace nbcore {

namespace {

const OptionTable options = {
    whole("channels", 64, 1, 4096, "channels of every output part"),
    whole("l_max", max_l_network, 0, max_l_network, "input parts above are dropped"),
    choice("parities", {"all", "natural"}, "natural: with o3, input parts of parity -(-1)^l are dropped"),
    texts("parts", "what to keep, 0e, 1o and so on (0, 1 with so3); all where none is named"),
    whole("groups", 1, 1, 64, "the channels of each output part stand in so many groups, one per l of harmonics, say"),
    choice("algebra", {"real", "complex"}, "complex: complex channels and weights, pairs of re and im"),
    reals("gain", "constant factor of each output part, 1 where none is given"),
    choice("share", {"all", "species"}, "one matrix for all nodes, or one per species of the node"),
    texts("shares", "the same for each input by itself, all or species; as share says where none is named"),
    wholes("widths", 1, 4096, most_parts,
           "channels of each output part by itself; as channels says where none is given"),
    wholes("fan_in", 1, most_channels, most_parts,
           "for each output part the number that weights are scaled by, incoming channels where none is given"),
    flag("skip", false, "true: the last input is added as it is; it has the parts and channels of the output"),
    choice("bias", {"none", "all", "species"}, "a constant added to even scalars: none, one, or one per species"),
    flag("tied", false, "true: one matrix for all parts; the parts of an input have equal channels, one of them l = 0"),
};

/// 1o, 2e; 1, 2 where parity is not tracked
std::string type_name(int l, int parity) { return std::to_string(l) + (parity == 0 ? "" : parity > 0 ? "e" : "o"); }

struct Rule : GateRule {
  static constexpr Reads reads = Reads::nodes;
  bool complex, skip, tied;
  int n_classes;                                       // of inputs whose matrices differ between species
  std::vector<bool> by_species;                        // [input]
  std::vector<std::int64_t> row_of;                    // [input] its first row, where matrices are tied
  std::map<std::pair<int, int>, std::int64_t> fan_in;  // (l, parity) -> incoming channels, in the order of the output
  std::vector<double> scales;                          // of the weights, per output part
  struct Matrix {
    std::int64_t first = 0, channels = 0;  // parameter with which it begins, incoming channels
  };
  std::vector<std::array<Matrix, 2>> matrices;  // per output part: of all nodes, of each species
  struct Bias {
    int part = -1, classes = 0;  // which it is added to, -1: there is none
    std::int64_t first = 0;      // parameter
  };
  Bias bias;

  Rule(const OptionValues& o, const States& inputs, const Surroundings& around)
      : complex(o.is("algebra", "complex")), skip(o.flag("skip")), tied(o.flag("tied")), n_classes(around.n_species) {
    const std::size_t n_mixed = inputs.size() - std::min<std::size_t>(skip, inputs.size());
    if (n_mixed == 0)
      throw InputError(skip ? "with skip it needs two inputs, the last is added" : "it needs at least one input");
    read_shares(o, n_mixed);
    const int l_max = o.whole("l_max");
    const std::vector<std::string>& only = o.texts("parts");
    std::map<std::pair<int, int>, std::array<std::int64_t, 2>> incoming;  // of fan_in, by kind of the input
    for (std::size_t input = 0; input < n_mixed; ++input) {
      count_terms(std::int64_t(inputs[input].size()));
      for (const Part& p : inputs[input]) {
        if (p.l > l_max || (o.is("parities", "natural") && p.parity != around.natural(p.l))) continue;
        if (!only.empty() && std::find(only.begin(), only.end(), type_name(p.l, p.parity)) == only.end()) continue;
        const int n = complex ? p.algebraic_channels() : p.channels();
        fan_in[{p.l, p.parity}] += n, incoming[{p.l, p.parity}][by_species[input]] += n;
      }
    }
    if (fan_in.empty()) throw InputError("no input part has l <= l_max, or is one of the parts named");
    for (const std::string& name : only)
      if (std::none_of(fan_in.begin(), fan_in.end(),
                       [&](const auto& f) { return type_name(f.first.first, f.first.second) == name; }))
        throw InputError(message("no input has a part ", name));
    const std::vector<double>& widths = o.numbers("widths");
    const int groups = o.whole("groups");
    if (tied && !widths.empty()) throw InputError("widths goes with matrices that are not tied");
    std::array<std::int64_t, 2> rows{};  // of the one matrix
    if (tied) rows = tie(std::span(inputs).first(n_mixed), around);
    if (!widths.empty() && widths.size() != fan_in.size())
      throw InputError(message("widths needs one number per output part, ", fan_in.size(), ", got ", widths.size()));
    for (const auto& [type, n] : incoming) {
      const int channels = widths.empty() ? o.whole("channels") : int(widths[output.size()]);
      if (channels % groups || (complex && groups > 1))
        throw InputError(message("groups: real channels in equal numbers, got ", groups, " groups of ", channels));
      output.push_back({type.first, type.second, complex ? 2 : groups, channels / groups, complex});
      matrices.resize(output.size());
      if (tied && output.size() > 1) {
        matrices.back() = matrices.front();
        continue;
      }
      for (int kind = 0; kind < 2; ++kind) {
        const std::int64_t K = tied ? rows[kind] : n[kind];
        matrices.back()[kind] = {n_parameters(), K};
        if (K == 0) continue;
        std::vector<std::int64_t> shape{kind ? n_classes : 1, K, channels};
        if (complex) shape.push_back(2);
        const bool second = kind == 1 && (tied ? rows : n)[0] > 0;
        parameters.push_back(
            {(tied ? "W" : "W" + type_name(type.first, type.second)) + (second ? "_species" : ""), shape});
      }
    }
    if (!o.is("bias", "none")) add_bias(o, around);
    if (skip && !std::ranges::equal(inputs.back(), output, [](const Part& a, const Part& b) {
          return a.l == b.l && a.parity == b.parity && a.groups == b.groups && a.group == b.group &&
                 a.complex == b.complex;
        }))
      throw InputError("with skip the last input must have the parts and channels of the output");
    gains = o.numbers("gain");
    if (gains.empty()) gains.assign(output.size(), 1.0);
    if (gains.size() != output.size())
      throw InputError(message("gain needs one number per output part, ", output.size(), ", got ", gains.size()));
    std::vector<double> counts = o.numbers("fan_in");
    if (counts.empty())
      for (const auto& [type, n] : fan_in) counts.push_back(double(tied ? rows[0] + rows[1] : n));
    if (counts.size() != output.size())
      throw InputError(message("fan_in needs one number per output part, ", output.size(), ", got ", counts.size()));
    for (double n : counts) scales.push_back(1 / std::sqrt(complex ? 2 * n : n));
  }

  std::optional<LinearMap> linear_map() const override {
    if (complex || skip || by_species.size() != 1 || bias.part >= 0) return {};
    LinearMap map;
    for (std::size_t p = 0; p < output.size(); ++p) {
      const Part& part = output[p];
      if (part.l != int(p)) return {};
      const Matrix& matrix = matrices[p][by_species[0]];
      const std::int64_t size = matrix.channels * part.channels();
      map.parts.push_back(
          {matrix.first, by_species[0] ? size : 0, scales[p], part.parity, int(matrix.channels), part.channels()});
    }
    return map;
  }

 private:
  /// Rows of the tied matrix, of all nodes and of each species; every input brings as many as it has channels
  std::array<std::int64_t, 2> tie(std::span<const std::span<const Part>> inputs, const Surroundings& around) {
    std::array<std::int64_t, 2> rows{};
    for (std::size_t input = 0; input < inputs.size(); ++input) {
      std::int64_t channels = 0;
      std::map<std::pair<int, int>, int> seen;
      for (const Part& p : inputs[input]) {
        if (!fan_in.contains({p.l, p.parity})) continue;
        const std::int64_t n = complex ? p.algebraic_channels() : p.channels();
        if (channels == 0) channels = n;
        if (n != channels || ++seen[{p.l, p.parity}] > 1)
          throw InputError(
              message("tied: the parts of an input must have equal channels and be of different kinds; "
                      "those of input ",
                      input + 1, " are not"));
      }
      if (!seen.contains({0, around.natural(0)}))
        throw InputError(message("tied: input ", input + 1, " has no even scalars"));
      row_of.push_back(rows[by_species[input]]), rows[by_species[input]] += channels;
    }
    return rows;
  }
  void add_bias(const OptionValues& o, const Surroundings& around) {
    if (complex) throw InputError("a bias goes with the algebra \"real\"");
    for (int p = 0; p < int(output.size()); ++p)
      if (output[p].l == 0 && output[p].parity == around.natural(0)) bias.part = p;
    if (bias.part < 0) throw InputError("a bias needs an output part of even scalars");
    bias.classes = o.is("bias", "species") ? n_classes : 1, bias.first = n_parameters();
    parameters.push_back({"bias", {bias.classes, output[bias.part].channels()}, 0.0});
  }
  void read_shares(const OptionValues& o, std::size_t n_inputs) {
    const std::vector<std::string>& shares = o.texts("shares");
    by_species.assign(n_inputs, o.is("share", "species"));
    if (!shares.empty() && shares.size() != n_inputs)
      throw InputError(message("shares needs one word per input, ", n_inputs, ", got ", shares.size()));
    for (std::size_t k = 0; k < shares.size(); ++k) {
      if (shares[k] != "all" && shares[k] != "species")
        throw InputError(message("shares must be \"all\" or \"species\" for each input, got \"", shares[k], "\""));
      by_species[k] = shares[k] == "species";
    }
  }
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
  struct Product {  // one input part into one output part
    int input, part, out, K, N;
    bool by_species;   // a matrix per class of nodes
    std::ptrdiff_t W;  // place in the packed weights, of class 0; in the copies lies the transpose
    bool first;        // the first to write its output
    std::int64_t k;    // its first row in W
  };
  std::vector<Product> products;
  std::vector<std::pair<int, int>> dropped;  // (input, part) that goes nowhere
  int n_classes;
  std::ptrdiff_t class_size = 0;  // packed weights of one class; those of all nodes lie before them
  Rule::Bias bias;
  int skipped = -1;       // the input that is added as it is
  std::ptrdiff_t b0 = 0;  // place of the bias in the packed weights

 public:
  Kernels(const Rule& rule, const States& inputs, std::span<const RadialPlace>) : n_classes(rule.n_classes) {
    this->overwrites = true;
    std::vector<Layout<Real>> layouts;
    for (std::span<const Part> parts : inputs) layouts.push_back(layout_of<Real>(parts));
    if (rule.skip) skipped = int(layouts.size()) - 1, layouts.pop_back();
    for (int input = 0; input < int(layouts.size()); ++input)
      for (int part = 0; part < layouts[input].size(); ++part)
        if (!rule.fan_in.contains({layouts[input][part].l, layouts[input][part].parity}))
          dropped.emplace_back(input, part);

    std::ptrdiff_t sizes[2] = {0, 0};  // packed: of all nodes, of one class
    for (int out = 0; out < int(rule.output.size()); ++out) {
      const Part& to = rule.output[out];
      std::int64_t k[2] = {0, 0};
      bool first = true;
      for (int input = 0; input < int(layouts.size()); ++input)
        for (int part = 0; part < layouts[input].size(); ++part) {
          const Part& p = layouts[input][part];
          if (p.l != to.l || p.parity != to.parity) continue;
          const Layout<Real> one({to});
          const bool kind = rule.by_species[input];
          products.push_back({input, part, out, layouts[input].row(part), one.row(0), kind, sizes[kind], first,
                              rule.tied ? rule.row_of[input] : k[kind]});
          sizes[kind] += std::ptrdiff_t(products.back().K) * products.back().N;
          k[kind] += rule.complex ? p.algebraic_channels() : p.channels(), first = false;
        }
    }
    class_size = sizes[1];
    for (const Product& p : products)
      if (!p.by_species) pack(p, layouts[p.input], rule, 0);
    for (Product& p : products)
      if (p.by_species) p.W += sizes[0];
    for (int c = 0; c < n_classes; ++c) {
      this->packing.begin_class(c), this->copies.begin_class(c);
      for (const Product& p : products)
        if (p.by_species) pack(p, layouts[p.input], rule, c);
    }
    this->packing.begin_class(-1), this->copies.begin_class(-1);
    bias = rule.bias;
    if (bias.part < 0) return;
    b0 = this->packing.size();
    const Layout<Real> one({rule.output[bias.part]});
    for (int c = 0; c < bias.classes; ++c) {
      const std::int64_t channels = one[0].channels();
      std::ptrdiff_t at = b0 + c * one.row(0);
      for (std::int64_t k = 0; k < channels; ++k) {
        this->packing.fill_to(at + one.position(0, int(k)));
        this->packing.weight(bias.first + c * channels + k, 1, bias.part);
      }
      this->packing.fill_to(at + one.row(0));
    }
  }

  /// f(number of the skipped input, number of the output) for all numbers of these planes
  template <class Lane, class Plane, class F> void each_plane(Block<Real>& b, Plane plane, F f) const {
    for (int p = 0; p < b.output.layout->size(); ++p) {
      Real *own = written<Lane>(plane(b.inputs[skipped], p)), *out = written<Lane>(plane(b.output, p));
      const std::ptrdiff_t size = std::ptrdiff_t(b.n) * (*b.output.layout)[p].dim() * b.output.layout->row(p);
      for_lanes(size, [&](std::ptrdiff_t k) { f(own + k, out + k); });
    }
  }

  /// f(element of the biased part, of its class in the packed weights) for every node
  template <class F> void each_biased(const Block<Real>& b, F f) const {
    const int row = b.output.layout->row(bias.part);
    for (int c = 0; c < bias.classes; ++c) {
      const int from = bias.classes == 1 ? 0 : b.species_first[c],
                to = bias.classes == 1 ? b.n : b.species_first[c + 1];
      for (int i = from; i < to; ++i)
        for_lanes(row, [&](std::ptrdiff_t k) { f(std::ptrdiff_t(i) * row + k, b0 + c * row + k); });
    }
  }

  /// f(product, class, first row of the class in the block, rows)
  template <class F> void each(Block<Real>& b, F f) const {
    for (const Product& p : products) {
      const int d = (*b.output.layout)[p.out].dim();
      const int classes = p.by_species ? n_classes : 1;
      for (int c = 0; c < classes; ++c) {
        const int from = classes == 1 ? 0 : b.species_first[c], to = classes == 1 ? b.n : b.species_first[c + 1];
        if (to > from) f(p, c, std::ptrdiff_t(from) * d, std::ptrdiff_t(to - from) * d);
      }
    }
  }

  template <class Lane> void forward(Block<Real>& b) const {
    each(b, [&](const Product& p, int c, std::ptrdiff_t row, std::ptrdiff_t rows) {
      const Planes<Real> A = b.inputs[p.input].own(p.part) + row * p.K, C = b.output.own(p.out) + row * p.N;
      const Real* W = b.weights + c * class_size + p.W;
      const auto plane = [&](const Real* from, Real* to) {
        if (p.first) mix<false>(from, p.K, W, to, p.N, rows, p.K, p.N);
        else mix<true>(from, p.K, W, to, p.N, rows, p.K, p.N);
      };
      plane(written<Lane>(A), written<Lane>(C));
    });
    if (skipped >= 0)
      each_plane<Lane>(
          b, [](const State<Real>& x, int p) { return x.own(p); }, [](Real* own, Real* out) { *out += *own; });
    if (bias.part >= 0 && !is_dual<Lane>) {  // a constant has no tangent
      Real* out = b.output.own(bias.part).value;
      each_biased(b, [&](std::ptrdiff_t at, std::ptrdiff_t k) { out[at] += b.weights[k]; });
    }
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    for (const auto& [input, part] : dropped)
      if (const State<Real>& state = b.inputs[input]; state.fresh) {
        const std::size_t size = std::size_t(b.n) * (*state.layout)[part].dim() * state.layout->row(part);
        fill(written<Lane>(state.own_bar(part)), size, 0);
      }
    if (skipped >= 0) {
      const bool fresh = b.inputs[skipped].fresh;
      each_plane<Lane>(
          b, [](const State<Real>& x, int p) { return x.own_bar(p); },
          [&](Real* own, Real* out) { *own = fresh ? *out : *own + *out; });
    }
    if constexpr (want.parameters)
      if (bias.part >= 0) {
        const Real* bar = written<Lane>(b.output.own_bar(bias.part));
        each_biased(b, [&](std::ptrdiff_t at, std::ptrdiff_t k) { b.weights_bar[k] += bar[at]; });
      }
    each(b, [&](const Product& p, int c, std::ptrdiff_t row, std::ptrdiff_t rows) {
      const Planes<Real> A = b.inputs[p.input].own(p.part) + row * p.K, C_bar = b.output.own_bar(p.out) + row * p.N;
      const Planes<Real> A_bar = b.inputs[p.input].own_bar(p.part) + row * p.K;
      const Real* W = b.copies + c * class_size + p.W;
      const auto plane = [&](const Real* from, Real* to) {
        if (b.inputs[p.input].fresh) mix<false>(from, p.N, W, to, p.K, rows, p.N, p.K);
        else mix<true>(from, p.N, W, to, p.K, rows, p.N, p.K);
      };
      plane(written<Lane>(C_bar), written<Lane>(A_bar));
      if constexpr (want.parameters) {
        Real* W_bar = b.weights_bar + c * class_size + p.W;
        if constexpr (is_dual<Lane>) {
          mix_gradient<2, Real>({{A.dot, C_bar.value}, {A.value, C_bar.dot}}, p.K, p.N, W_bar, rows, p.K, p.N);
        } else {
          mix_gradient(A.value, p.K, C_bar.value, p.N, W_bar, rows, p.K, p.N);
        }
      }
    });
  }

 private:
  /// Where a column or row of a matrix stands: its channel, -1 for padding, and the plane of a complex one
  struct Place {
    std::int64_t channel = -1;
    int plane = 0;
  };
  static std::vector<Place> places(const Layout<Real>& layout, int part, bool complex) {
    std::vector<Place> places(layout.row(part));
    const int planes = complex ? layout[part].planes() : 1;
    for (int c = 0; c < layout[part].channels() / planes; ++c)
      for (int plane = 0; plane < planes; ++plane)
        places[complex ? layout.position(part, c, plane) : layout.position(part, c)] = {c, plane};
    return places;
  }
  /// The matrix of a product and class, and its transpose
  void pack(const Product& p, const Layout<Real>& from, const Rule& rule, int c) {
    const Layout<Real> to({rule.output[p.out]});
    const std::vector<Place> rows = places(from, p.part, rule.complex), columns = places(to, 0, rule.complex);
    const std::int64_t channels = rule.output[p.out].algebraic_channels();
    const Rule::Matrix& matrix = rule.matrices[p.out][p.by_species];
    const std::int64_t first = matrix.first + c * matrix.channels * channels * (rule.complex ? 2 : 1);
    const double scale = rule.scales[p.out];
    const auto place = [&](Packing& in, const Place& row, const Place& column) {
      if (row.channel < 0 || column.channel < 0) return in.zeros(1);
      const std::int64_t w = (p.k + row.channel) * channels + column.channel;
      if (!rule.complex) return in.weight(first + w, scale, p.out);
      const bool imaginary = row.plane != column.plane;  // (re, im) [[W_re, W_im], [-W_im, W_re]]
      in.weight(first + 2 * w + imaginary, imaginary && row.plane == 1 ? -scale : scale, p.out);
    };
    each_packed<Real>(p.K, p.N, [&](int k, int n) { place(this->packing, rows[k], columns[n]); });
    each_packed<Real>(p.N, p.K, [&](int n, int k) { place(this->copies, rows[k], columns[n]); });
  }
};

}  // namespace

NB_GATE(mix, "Linear mixing of channels, one matrix per part (Proposition 1); several inputs are summed")

}  // namespace nbcore
