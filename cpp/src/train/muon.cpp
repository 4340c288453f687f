#include "train/muon.hpp"

#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "base/threads.hpp"
#include "train/optimizers.hpp"

namespace nbcore {
namespace {

constexpr std::int64_t longest_range = 8192;  // of parameters in no matrix, for a thread
constexpr std::int64_t small_work = 16384;    // so many parameters are not worth a second thread

// Loops over the numbers of a matrix or of its row. `step` is the distance of numbers in memory where it is not known
// before (constant = 0); where it is, the compiler takes whole registers.

/// M <- mu M + (1 - mu) G; the largest |N| of N = mu M + (1 - mu) G
double update_moment(std::int64_t n, double mu, const double* __restrict g, double* __restrict m) {
  constexpr int lanes = 16;
  double largest[lanes] = {};
  const auto update = [=](std::int64_t k, double most) {
    m[k] = mu * m[k] + (1 - mu) * g[k];
    const double size = std::abs(mu * m[k] + (1 - mu) * g[k]);
    return most < size ? size : most;
  };
  const std::int64_t whole = n - n % lanes;
  for (std::int64_t k = 0; k < whole; k += lanes)
    for (int lane = 0; lane < lanes; ++lane) largest[lane] = update(k + lane, largest[lane]);
  for (std::int64_t k = whole; k < n; ++k) largest[0] = update(k, largest[0]);
  return *std::max_element(largest, largest + lanes);
}

/// x = scale N
template <int constant> void put_look_ahead(std::int64_t n, double mu, double scale, const double* __restrict g,
                                            const double* __restrict m, float* __restrict x, std::int64_t step) {
  for (std::int64_t k = 0; k < n; ++k)
    x[k * (constant ? constant : step)] = float(scale * (mu * m[k] + (1 - mu) * g[k]));
}

/// W <- shrink W - length Y
template <int constant> void move(std::int64_t n, double shrink, double length, const float* __restrict y,
                                  std::int64_t step, double* __restrict w) {
  for (std::int64_t k = 0; k < n; ++k) w[k] = shrink * w[k] - length * double(y[k * (constant ? constant : step)]);
}

}  // namespace

Muon::Muon(double lr_, std::vector<Matrices> matrices_, double momentum_, double beta2_, double eps_,
           double weight_decay_, double rest_lr_, int threads)
    : lr(lr_),
      momentum(momentum_),
      beta2(beta2_),
      eps(eps_),
      weight_decay(weight_decay_),
      rest_lr(rest_lr_),
      matrices(std::move(matrices_)) {
  const auto require = [](bool good, const char* name, const char* range, double value) {
    if (!good) throw InputError(message(name, " must be ", range, ", got ", value));
  };
  require(std::isfinite(lr) && lr >= 0, "lr", "a number >= 0", lr);
  require(momentum >= 0 && momentum < 1, "momentum", "in [0, 1)", momentum);
  require(beta2 >= 0 && beta2 < 1, "beta2", "in [0, 1)", beta2);
  require(std::isfinite(eps) && eps > 0, "eps", "a number > 0", eps);
  require(std::isfinite(weight_decay) && weight_decay >= 0, "weight_decay", "a number >= 0", weight_decay);
  require(std::isfinite(rest_lr) && rest_lr >= 0, "rest_lr", "a number >= 0", rest_lr);
  set_threads(threads);
  for (const Matrices& m : matrices)
    if (m.first < 0 || m.count < 1 || m.rows < 1 || m.columns < 1)
      throw InputError("matrices: first must be >= 0, count, rows and columns >= 1");
}

void Muon::set_threads(int threads) {
  if (threads < 1 || threads > most_threads)
    throw InputError(message("threads must be from 1 to ", most_threads, ", got ", threads));
  threads_ = threads;
}

void Muon::take_part(int part, int parts) {
  if (part < 0 || part >= parts) throw InputError(message("part must be from 0 to ", parts - 1, ", got ", part));
  part_ = part, parts_ = parts, divided_ = -1;
}

std::vector<std::pair<std::int64_t, std::int64_t>> Muon::matrices_of(int part, std::int64_t n) {
  if (n != divided_) divide(n);
  std::vector<std::pair<std::int64_t, std::int64_t>> ranges;
  for (const Piece& piece : pieces_)
    if (piece.columns && piece.part == part) ranges.emplace_back(piece.first, piece.rows * piece.columns);
  return ranges;
}

/// Fills pieces_: each matrix, then all between them in ranges.
void Muon::divide(std::int64_t n) {
  std::vector<Piece> pieces;
  std::vector<bool> inside(n, false);
  for (const auto& [start, count, rows, columns] : matrices) {
    const std::int64_t room = n - start;  // products of what is asked for may overflow
    if (rows > room || columns > room / rows || count > room / (rows * columns))
      throw InputError(message("matrices: one of them reaches beyond the ", n, " parameters"));
    const auto begin = inside.begin() + start, end = begin + count * rows * columns;
    if (std::find(begin, end, true) != end)
      throw InputError(message("matrices: two of them share parameters, from ", start, " on"));
    std::fill(begin, end, true);
    for (std::int64_t k = 0; k < count; ++k) pieces.push_back({start + k * rows * columns, rows, columns});
  }
  // the largest first, each to the part with the least work
  const auto work = [](const Piece& p) {
    return double(p.rows) * double(p.columns) * double(std::min(p.rows, p.columns));
  };
  std::vector<Piece*> largest_first;
  for (Piece& piece : pieces) largest_first.push_back(&piece);
  std::stable_sort(largest_first.begin(), largest_first.end(),
                   [&](const Piece* a, const Piece* b) { return work(*a) > work(*b); });
  std::vector<double> load(parts_, 0.0);
  for (Piece* piece : largest_first) {
    piece->part = int(std::min_element(load.begin(), load.end()) - load.begin());
    load[piece->part] += work(*piece);
  }
  for (std::int64_t k = 0, end; k < n; k = end) {
    end = k + 1;
    if (inside[k]) continue;
    while (end < n && !inside[end] && end - k < longest_range) ++end;
    pieces.push_back({k, end - k, 0});
  }
  pieces_ = std::move(pieces);
  divided_ = n;
}

void Muon::step(std::span<double> theta, std::span<const double> gradient) {
  check_step(theta, gradient, first.size());
  const std::size_t n = theta.size();
  if (std::int64_t(n) != divided_) divide(n);
  const int team = n > small_work ? threads_ : 1;
  if (polar_.size() < std::size_t(team)) {
    polar_.resize(team);
    for (const auto& [start, count, rows, columns] : matrices)
      for (PolarFactor& polar : polar_) polar.matrix(std::max(rows, columns), std::min(rows, columns));
  }
  first.resize(n), second.resize(n), peak.resize(n);
  ++steps;
  const AdamStep rest{rest_lr * lr / (1 - std::pow(momentum, double(steps))),
                      momentum,
                      beta2,
                      1 / (1 - std::pow(beta2, double(steps))),
                      eps,
                      0,
                      1 - lr * weight_decay};
  parallel_for(int(pieces_.size()), team, [&](int item, int thread) {
    const Piece& piece = pieces_[item];
    const std::int64_t k = piece.first;
    if (piece.columns) step_matrix(piece, polar_[thread], theta.data() + k, gradient.data() + k);
    else rest(piece.rows, theta.data() + k, gradient.data() + k, first.data() + k, second.data() + k, peak.data() + k);
  });
}

void Muon::step_matrix(const Piece& piece, PolarFactor& polar, double* theta, const double* gradient) {
  const std::int64_t rows = piece.rows, columns = piece.columns;
  double* const moment = first.data() + piece.first;
  const double shrink = 1 - lr * weight_decay, most = update_moment(rows * columns, momentum, gradient, moment);
  if (piece.part != part_) return;
  if (!(most > 1e-300)) {  // a matrix that nothing depends on only decays
    for (std::int64_t k = 0; k < rows * columns; ++k) theta[k] *= shrink;
    return;
  }
  const bool tall = rows >= columns;  // if not, its transpose is orthogonalised
  float* const x = polar.matrix(int(std::max(rows, columns)), int(std::min(rows, columns)));
  const std::int64_t stride = polar.stride(), down = tall ? stride : 1;
  for (std::int64_t i = 0; i < rows; ++i) {
    const double *m = moment + i * columns, *g = gradient + i * columns;
    if (tall) put_look_ahead<1>(columns, momentum, 1 / most, g, m, x + i * down, 1);
    else put_look_ahead<0>(columns, momentum, 1 / most, g, m, x + i * down, stride);
  }
  const float* const y = polar.compute();
  const double length =
      lr * 0.2 * std::sqrt(double(std::max(rows, columns))) * std::sqrt(std::max(1.0, double(rows) / double(columns)));
  for (std::int64_t i = 0; i < rows; ++i) {
    double* const w = theta + i * columns;
    if (tall) move<1>(columns, shrink, length, y + i * down, 1, w);
    else move<0>(columns, shrink, length, y + i * down, stride, w);
  }
}

}  // namespace nbcore
