// Whole files: read in one piece, replaced in one step.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace nbcore {

/// The bytes of a file in memory that numbers can be read from in place.
struct FileBytes {
  std::shared_ptr<double[]> words;  ///< the last one filled up with zero bytes
  std::size_t size = 0;             ///< in bytes
  char* data() { return reinterpret_cast<char*>(words.get()); }
  std::string_view view() const { return {reinterpret_cast<const char*>(words.get()), size}; }
};

/// The bytes of a regular file. `check(beginning, size)` sees its first 512 bytes and its size, and may throw, before
/// memory is taken for the rest. Throws IoError (absent, unreadable, a directory, a device).
FileBytes read_file(const std::string& path, void (*check)(std::string_view beginning, std::uint64_t size));

/// Makes `bytes` the contents of a file: written beside it, flushed to the disk, renamed. Whoever opens the path, at
/// any time, after any crash, finds the old contents or the new; what killed programs left beside it is removed. Throws
/// IoError and leaves nothing behind.
void replace_file(const std::string& path, std::string_view bytes);

}  // namespace nbcore
