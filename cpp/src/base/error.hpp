// The errors of nbcore. Each becomes the Python class of the same name (nbcore/errors.py) and a status of the C ABI.
#pragma once
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>

namespace nbcore {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
/// An argument that does not fit: shape, range, NaN, a singular cell.
struct InputError : Error {
  using Error::Error;
};
/// An array of another shape or size than the rest.
struct ShapeError : InputError {
  using InputError::InputError;
};
/// NaN or Inf where a number was expected.
struct NonFiniteError : InputError {
  using InputError::InputError;
};
/// A cell that cannot be repeated: singular, not finite, zero along a periodic direction.
struct CellError : InputError {
  using InputError::InputError;
};
/// An element the potential does not know.
struct SpeciesError : InputError {
  using InputError::InputError;
};
/// A file that is not an intact nbcore model.
struct ModelFileError : Error {
  using Error::Error;
};
/// Numbers out of hand: atoms on top of each other, an energy that is not finite.
struct NumericsError : Error {
  using Error::Error;
};
/// Two atoms on top of each other.
struct OverlapError : NumericsError {
  using NumericsError::NumericsError;
};
/// The operating system refused a file; `code` is its errno. Python raises the OSError that belongs to it.
struct IoError : Error {
  IoError(int code, const std::string& path)
      : Error(path + ": " + std::generic_category().message(code)), code(code), path(path) {}
  int code;
  std::string path;
};

/// message("expected ", 3, ", got ", n): the pieces, one after the other.
template <class... Pieces> std::string message(const Pieces&... pieces) {
  std::ostringstream out;
  out.exceptions(std::ios::badbit);  // or a stream without memory would go on in silence with half of the text
  (out << ... << pieces);
  return out.str();
}

}  // namespace nbcore
