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
#include <string>
#include <vector>

namespace nbcore {

struct Tensor {
  std::string name;
  std::vector<std::int64_t> shape;  ///< C order; empty for a single number
  std::vector<double> data;
};

struct ModelFile {
  std::string description;  ///< a JSON object, as text
  std::vector<Tensor> tensors;
};

/// Reads and checks a whole file: layout, length, digest, no NaN. Whatever stands in it, this returns or throws:
/// ModelFileError (not a model, damaged, of a newer release), IoError (absent, unreadable, a directory).
/// Memory is taken for what the file holds, never for what it claims.
ModelFile read_model_file(const std::string& path);

/// Writes the file whole or not at all: into a temporary one beside it, which then takes its name. The same contents
/// give the same bytes. Throws InputError (names, shapes, NaN, description not JSON) and IoError.
void write_model_file(const std::string& path, const ModelFile& file);

}  // namespace nbcore
