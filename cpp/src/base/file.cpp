#include "base/file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <random>

#include "base/error.hpp"

namespace nbcore {
namespace {

/// A file descriptor that closes itself.
class Descriptor {
 public:
  Descriptor(const std::string& path, int flags, mode_t mode = 0)
      : path_(path), number_(::open(path.c_str(), flags, mode)) {
    if (number_ < 0) throw IoError(errno, path);
  }
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  struct stat status() const {
    struct stat s;
    if (::fstat(number_, &s) != 0) throw IoError(errno, path_);
    return s;
  }
  std::size_t read(char* to, std::size_t size) const {
    for (;;) {
      const ssize_t n = ::read(number_, to, size);
      if (n >= 0) return static_cast<std::size_t>(n);
      if (errno != EINTR) throw IoError(errno, path_);
    }
  }
  void write(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t n = ::write(number_, bytes.data(), bytes.size());
      if (n < 0 && errno != EINTR) throw IoError(errno, path_);
      if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  /// False where another process has the lock, or the file system has none.
  bool lock(int how) const {
    int status;
    do status = ::flock(number_, how);
    while (status != 0 && errno == EINTR);
    return status == 0;
  }
  void sync() const {
    if (::fsync(number_) != 0) throw IoError(errno, path_);
  }
  void close() {
    const int status = ::close(number_);
    number_ = -1;
    if (status != 0) throw IoError(errno, path_);
  }

 private:
  std::string path_;
  int number_;
};

/// Sixteen hexadecimal digits that no other process will draw.
std::string random_word() {
  std::random_device random;
  const std::uint64_t n = std::uint64_t{random()} << 32 | random();
  std::string word;
  for (int k = 0; k < 16; ++k) word += "0123456789abcdef"[n >> 4 * k & 15];
  return word;
}

/// Removes the temporary files that killed programs left beside a file. The writer of one holds a lock on it, which
/// goes with its process: what can be locked is of a dead one. `nbcore/files.py` does the same with the same names.
void remove_leftovers(const std::string& folder, const std::string& stem) {
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.c_str()), ::closedir);
  while (const dirent* entry = entries ? ::readdir(entries.get()) : nullptr) {
    const std::string_view name = entry->d_name;
    if (name.size() != stem.size() + 20 || !name.starts_with(stem) || !name.ends_with(".tmp") ||
        name.substr(stem.size(), 16).find_first_not_of("0123456789abcdef") != name.npos)
      continue;
    const std::string path = folder + "/" + entry->d_name;
    try {
      const Descriptor file(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
      if (file.lock(LOCK_EX | LOCK_NB)) ::unlink(path.c_str());
    } catch (const IoError&) {  // of another user
    }
  }
}

/// A path with a zero byte would name another file than the caller thinks.
void check_path(const std::string& path) {
  if (path.find('\0') != path.npos) throw InputError("path: holds a zero byte");
}

}  // namespace

FileBytes read_file(const std::string& path, void (*check)(std::string_view, std::uint64_t)) {
  check_path(path);
  const Descriptor file(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe must not make us wait
  const auto status = file.status();
  if (S_ISDIR(status.st_mode)) throw IoError(EISDIR, path);
  if (!S_ISREG(status.st_mode)) throw IoError(EINVAL, path);
  const auto size = static_cast<std::size_t>(status.st_size);
  char beginning[512];
  std::size_t done = 0;
  const auto read = [&](char* to, std::size_t up_to) {
    while (done < up_to) {
      const std::size_t n = file.read(to + done, up_to - done);
      if (n == 0) return;
      done += n;
    }
  };
  read(beginning, std::min(size, sizeof beginning));
  check({beginning, done}, size);
  FileBytes bytes{std::shared_ptr<double[]>(new double[size / 8 + 1]), size};
  bytes.words[size / 8] = 0;
  std::memcpy(bytes.data(), beginning, done);
  read(bytes.data(), size);
  bytes.size = done;  // less where the file was cut meanwhile
  return bytes;
}

void replace_file(const std::string& path, std::string_view bytes) {
  check_path(path);
  struct stat status;
  if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
    throw IoError(S_ISDIR(status.st_mode) ? EISDIR : EINVAL, path);  // the place of a device is not for us
  const auto slash = path.rfind('/');
  const std::string folder = slash == path.npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  const std::string stem = "." + (slash == path.npos ? path : path.substr(slash + 1)).substr(0, 200) + ".";
  remove_leftovers(folder, stem);
  try {
    std::string temporary;
    std::optional<Descriptor> file;
    do {  // until nobody takes the file for a leftover between the two calls
      temporary = folder + "/" + stem + random_word() + ".tmp";
      file.emplace(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (file->lock(LOCK_EX) && file->status().st_nlink == 0);
    try {
      file->write(bytes);
      file->sync();
      if (::rename(temporary.c_str(), path.c_str()) != 0) throw IoError(errno, path);  // while it is locked
    } catch (...) {
      ::unlink(temporary.c_str());
      throw;
    }
    file->close();
  } catch (const IoError& e) {
    throw IoError(e.code, path);  // of the two names the one that the caller knows
  }
  Descriptor(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC).sync();  // the new name must outlive a crash too
}

}  // namespace nbcore
