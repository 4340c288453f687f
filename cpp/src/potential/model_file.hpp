// The model file: a description in JSON and named arrays of doubles, and no code.
//
// Layout of safetensors: the length of the header (8 bytes, little-endian), the header (JSON, padded with blanks to a
// multiple of 8), the arrays (raw, little-endian, in the order of the header, without gaps). The header begins with
//
//   {"__metadata__":{"format":"nbcore","version":"1","needs":"0.1.0","sha256":"...","description":"..."}
//
// `needs` is the first release that reads this version; the digest is over the whole file with its own 64 digits as 0.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nbcore {

struct Tensor {
  std::string name;
  std::vector<std::int64_t> shape;  ///< C order; empty for a single number
  std::span<double> data;           ///< somebody else's: of the file that was read, of the caller who writes
};

struct ModelFile {
  std::string description;  ///< a JSON object, as text
  std::vector<Tensor> tensors;
  std::shared_ptr<double[]> memory;  ///< of a file that was read: the arrays lie in it
};

// What a file may hold: its texts are small beside its arrays, and memory and time stay within bounds for every file.
inline constexpr std::size_t largest_header = 4 << 20;    ///< bytes, description included
inline constexpr std::size_t most_json_values = 1 << 17;  ///< of the header, and of the description
inline constexpr std::size_t deepest_nesting = 64;        ///< of either
inline constexpr std::size_t most_dimensions = 16;        ///< of an array

/// Reads and checks a whole file: layout, length, digest, no NaN. Whatever stands in it, this returns or throws:
/// ModelFileError (not a model, damaged, of a newer release), IoError (absent, unreadable, a directory).
/// The digest is compared before the texts are looked at. Memory is taken for what the file holds, never for what it
/// claims: once its size, and some hundred bytes for each JSON value.
ModelFile read_model_file(const std::string& path);

/// The same of a file's bytes in memory
ModelFile read_model_bytes(std::string_view bytes);

/// Text from a file as a message may show it: short, and no bytes but plain ones.
std::string shown(std::string_view text, std::size_t longest = 200);

/// Writes the file whole or not at all: into a temporary one beside it, which then takes its name. The same contents
/// give the same bytes. Throws InputError (names, shapes, NaN, description not JSON) and IoError.
void write_model_file(const std::string& path, const ModelFile& file);

}  // namespace nbcore
