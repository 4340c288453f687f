// Options of gates and networks: a JSON object whose values are asked for by name and type. The JSON library stays
// behind this page: it costs every file that includes it some seconds of compiling.
#pragma once
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace nbcore {

class Options {
 public:
  /// From the text of a JSON object; InputError where it is none.
  explicit Options(const std::string& text = "{}");

  bool has(const std::string& key) const;
  std::vector<std::string> keys() const;
  std::string text() const;

  /// The value of `key`, or the default; InputError names the gate, the option and what came where the type does not
  /// fit. T: bool, int, double, std::string, Options (an object), std::vector of double, std::string or Options.
  template <class T> T get(const std::string& key, const T& otherwise) const;
  /// The same without a default: the key must be there.
  template <class T> T get(const std::string& key) const;
  /// A whole number within its range.
  int whole(const std::string& key, int otherwise, int low, int high) const;

 private:
  explicit Options(nlohmann::json value);
  template <class T> static T convert(const nlohmann::json& value);
  std::string where() const;  // "gate NAME: " where the object has a name
  std::shared_ptr<const nlohmann::json> json_;
};

}  // namespace nbcore
