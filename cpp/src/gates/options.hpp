// What a program is written in: a JSON object whose values are asked for by name and type. The JSON library stays
// behind this page: it costs every file that includes it some seconds of compiling. Objects within are views: nothing
// is copied but the values asked for.
#pragma once
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
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
  /// The value of a key as text, cut where it is long: for messages
  std::string text(const std::string& key) const;

  /// The value of `key`, or the default; InputError names the gate, the option and what came where the type does not
  /// fit. T: bool, int, double, std::string, Options (an object), std::vector of double, std::string or Options.
  template <class T> T get(const std::string& key, const T& otherwise) const;
  /// The same without a default: the key must be there.
  template <class T> T get(const std::string& key) const;
  /// Is the key there, with a value of this type?
  template <class T> bool is(const std::string& key) const;
  /// A number, or a whole number of 53 bits at most; none where something else stands there
  std::optional<double> number(const std::string& key) const;
  std::optional<double> whole_number(const std::string& key) const;

 private:
  Options(std::shared_ptr<const nlohmann::json> value);
  template <class T> T convert(const nlohmann::json& value) const;
  std::string where() const;  // "gate NAME: " where the object has a name
  std::shared_ptr<const nlohmann::json> json_;
};

}  // namespace nbcore
