#include "potential/model_file.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>

#include "base/error.hpp"
#include "base/file.hpp"
#include "potential/sha256.hpp"

namespace nbcore {
namespace {

using Json = nlohmann::ordered_json;

constexpr int newest_version = 1;
constexpr const char* needed_release = "0.1.0";
constexpr std::string_view opening = R"({"__metadata__":{"format":"nbcore","version":")";
constexpr std::size_t digest_digits = 64;
constexpr int deepest_nesting = 64;
constexpr std::size_t most_dimensions = 16;

/// Text from a file as a message may show it: short, and no bytes but plain ones.
std::string shown(std::string_view text) {
  std::string out(text.substr(0, 200));
  for (char& c : out)
    if (c < ' ' || c > '~') c = '?';
  return text.size() > 200 ? out + "..." : out;
}

/// JSON without duplicate keys and without depth: what an attacker may not have.
Json parse(std::string_view text) {
  std::vector<std::set<std::string>> keys;
  const auto guard = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > deepest_nesting) throw ModelFileError(message("nested deeper than ", deepest_nesting));
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second)
      throw ModelFileError(message("key ", shown(value.get<std::string>()), " stands there twice"));
    return true;
  };
  try {
    return Json::parse(text, guard);
  } catch (const Json::exception& e) {
    throw ModelFileError(shown(e.what()));
  }
}

void swap_if_big_endian(std::vector<double>& data) {
  if constexpr (std::endian::native == std::endian::big)
    for (double& x : data) x = std::bit_cast<double>(__builtin_bswap64(std::bit_cast<std::uint64_t>(x)));
}

std::string little_endian(std::uint64_t n) {
  std::string out;
  for (int k = 0; k < 8; ++k) out += static_cast<char>(n >> 8 * k & 0xff);
  return out;
}

/// Number of elements, or nothing where a dimension is negative or there are more than any array can have.
std::optional<std::int64_t> n_elements(const std::vector<std::int64_t>& shape) {
  if (shape.size() > most_dimensions) return std::nullopt;
  std::int64_t bytes = 8;
  bool empty = false;
  for (const auto dimension : shape) {
    empty |= dimension == 0;
    if (dimension < 0 || __builtin_mul_overflow(bytes, std::max<std::int64_t>(dimension, 1), &bytes))
      return std::nullopt;
  }
  return empty ? 0 : bytes / 8;
}

// ---- writing ----

std::string header_of(const ModelFile& file) {
  Json header;
  header["__metadata__"] = {{"format", "nbcore"},
                            {"version", std::to_string(newest_version)},
                            {"needs", needed_release},
                            {"sha256", std::string(digest_digits, '0')},
                            {"description", file.description}};
  std::int64_t offset = 0;
  for (const Tensor& tensor : file.tensors) {
    if (tensor.name.empty() || header.contains(tensor.name))
      throw InputError("model file: the name \"" + tensor.name + "\" of an array is empty, reserved or used twice");
    const auto n = n_elements(tensor.shape);
    if (!n || *n != static_cast<std::int64_t>(tensor.data.size()))
      throw ShapeError(message("model file: array ", tensor.name, " has ", tensor.data.size(),
                               " elements, not as many as its shape says"));
    for (std::size_t k = 0; k < tensor.data.size(); ++k)
      if (!std::isfinite(tensor.data[k]))
        throw NonFiniteError(message("model file: element ", k, " of ", tensor.name, " is ", tensor.data[k]));
    const std::int64_t end = offset + 8 * *n;
    header[tensor.name] = {{"dtype", "F64"}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

// ---- reading ----

/// The value that follows `"key":"` in the header's opening, by text: to be had before anything may be trusted.
std::string_view opening_value(std::string_view header, std::string_view key) {
  const std::string pattern = message('"', key, R"(":")");
  const auto begin = header.find(pattern);
  if (begin == header.npos) return {};
  const auto rest = header.substr(begin + pattern.size());
  return rest.substr(0, rest.find('"'));
}

/// Checks that this is an nbcore model of a version that can be read.
void check_version(std::string_view header) {
  if (!header.starts_with(opening)) throw ModelFileError("not an nbcore model");
  const std::string_view text = opening_value(header.substr(0, 256), "version");
  int version = 0;
  const auto [end, error] = std::from_chars(text.begin(), text.end(), version);
  if (error != std::errc() || end != text.end() || version < 1)
    throw ModelFileError("damaged: no version number in the header");
  if (version > newest_version)
    throw ModelFileError(message("written in format ", version, ", this release reads up to ", newest_version,
                                 "; it needs nbcore ", shown(opening_value(header.substr(0, 256), "needs")),
                                 " or newer"));
}

/// The arrays as the header lists them, without data.
std::vector<Tensor> list_tensors(const Json& header, std::int64_t data_bytes) {
  std::vector<Tensor> tensors;
  std::int64_t offset = 0;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    const auto damaged = [&, &name = name](const auto&... what) {
      throw ModelFileError(message("damaged: array ", shown(name), ": ", what...));
    };
    if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") || !entry.contains("shape") ||
        !entry.contains("data_offsets"))
      damaged("expected dtype, shape and data_offsets");
    if (entry["dtype"] != "F64") damaged("dtype must be F64, got ", shown(entry["dtype"].dump()));
    const auto integers = [&](const Json& list) {
      std::vector<std::int64_t> out;
      if (!list.is_array()) damaged("expected a list of integers, got ", shown(list.dump()));
      for (const auto& x : list) {
        if (!x.is_number_unsigned() || x.get<std::uint64_t>() > std::uint64_t{1} << 62)
          damaged("expected a list of non-negative integers, got ", shown(list.dump()));
        out.push_back(x.get<std::int64_t>());
      }
      return out;
    };
    Tensor tensor{name, integers(entry["shape"]), {}};
    const auto offsets = integers(entry["data_offsets"]);
    const auto n = n_elements(tensor.shape);
    if (!n) damaged("its shape is too large");
    if (offsets.size() != 2 || offsets[0] != offset || offsets[1] - offsets[0] != 8 * *n)
      damaged("expected ", 8 * *n, " bytes from offset ", offset, ", got data_offsets ",
              shown(entry["data_offsets"].dump()));
    offset = offsets[1];
    tensors.push_back(std::move(tensor));
  }
  if (offset != data_bytes)
    throw ModelFileError(message(offset > data_bytes ? "truncated" : "damaged", ": its arrays take ", offset,
                                 " bytes, the file has ", data_bytes));
  return tensors;
}

ModelFile read(const std::string& bytes) {
  std::uint64_t length = 0;
  if (bytes.size() < 8) throw ModelFileError("not an nbcore model");
  for (int k = 0; k < 8; ++k) length |= std::uint64_t{static_cast<unsigned char>(bytes[k])} << 8 * k;
  const std::string_view rest = std::string_view(bytes).substr(8);
  check_version(rest);
  if (length > rest.size())
    throw ModelFileError(message("truncated: its header takes ", length, " bytes, the file has ", rest.size()));
  if (length % 8 != 0) throw ModelFileError("damaged: its header's length is no multiple of 8");

  Json header;
  try {
    header = parse(rest.substr(0, length));
  } catch (const ModelFileError& e) {
    throw ModelFileError(message("damaged: the header is no proper JSON: ", e.what()));
  }
  const Json& metadata = header["__metadata__"];
  for (const char* key : {"format", "version", "needs", "sha256", "description"})
    if (!metadata.contains(key) || !metadata[key].is_string())
      throw ModelFileError(message("damaged: the header has no ", key));
  const std::string_view data = rest.substr(length);
  ModelFile file{metadata["description"], list_tensors(header, static_cast<std::int64_t>(data.size()))};

  const auto digest = opening_value(rest.substr(0, 256), "sha256");
  if (digest.size() != digest_digits) throw ModelFileError("damaged: no digest in the header");
  const auto at = static_cast<std::size_t>(digest.data() - bytes.data());
  Sha256 sha;
  sha.update(std::string_view(bytes).substr(0, at));
  sha.update(std::string(digest_digits, '0'));
  sha.update(std::string_view(bytes).substr(at + digest_digits));
  if (sha.hex() != digest) throw ModelFileError("damaged: its contents do not match its SHA-256 digest");

  try {
    if (!parse(file.description).is_object()) throw ModelFileError("not an object");
  } catch (const ModelFileError& e) {
    throw ModelFileError(message("damaged: the description is no proper JSON: ", e.what()));
  }
  std::size_t offset = 0;
  for (Tensor& tensor : file.tensors) {
    tensor.data.resize(static_cast<std::size_t>(*n_elements(tensor.shape)));
    const std::size_t size = 8 * tensor.data.size();
    if (size > 0) std::memcpy(tensor.data.data(), data.data() + offset, size);
    offset += size;
    swap_if_big_endian(tensor.data);
    for (std::size_t k = 0; k < tensor.data.size(); ++k)
      if (!std::isfinite(tensor.data[k]))
        throw ModelFileError(message("element ", k, " of ", shown(tensor.name), " is ", tensor.data[k]));
  }
  return file;
}

}  // namespace

ModelFile read_model_file(const std::string& path) {
  const std::string bytes = read_file(path);
  try {
    return read(bytes);
  } catch (const ModelFileError& e) {
    throw ModelFileError(path + ": " + e.what());
  }
}

void write_model_file(const std::string& path, const ModelFile& file) {
  std::string bytes;
  try {
    if (!parse(file.description).is_object()) throw ModelFileError("expected an object");
    const std::string header = header_of(file);
    bytes = little_endian(header.size()) + header;
  } catch (const ModelFileError& e) {
    throw InputError(message("model file: the description is no proper JSON: ", e.what()));
  } catch (const Json::exception& e) {
    throw InputError(message("model file: ", e.what()));
  }
  for (const Tensor& tensor : file.tensors) {
    std::vector<double> data = tensor.data;
    swap_if_big_endian(data);
    bytes.append(reinterpret_cast<const char*>(data.data()), 8 * data.size());
  }
  Sha256 sha;
  sha.update(bytes);
  const std::string blank = std::string(R"("sha256":")") + std::string(digest_digits, '0');
  bytes.replace(bytes.find(blank) + blank.size() - digest_digits, digest_digits, sha.hex());
  replace_file(path, bytes);
}

}  // namespace nbcore
