// SHA-256 (FIPS 180-4), by which a model file knows that it is intact.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace nbcore {

/// update() any number of times, then hex() once: the digest of all bytes, 64 lower-case hexadecimal digits.
class Sha256 {
 public:
  void update(std::string_view bytes);
  void update(std::span<const double> numbers);  // little-endian, on every machine
  std::string hex();

 private:
  void compress(const unsigned char* block);

  std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<unsigned char, 64> pending_{};
  std::uint64_t length_ = 0;
};

}  // namespace nbcore
