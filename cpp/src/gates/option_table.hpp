// The options of a gate, of radial functions or of a leaf state: name, type, default, range or choices, in one table.
// What a program gives is checked against it and read from it; Python, the pages and the tests are given the same
// table as JSON. An option that is not in the table does not exist.
#pragma once
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "gates/options.hpp"

namespace nbcore {

/// A default or an end of a range: a number, or the value of another option of the table that stands before.
struct Limit {
  Limit(double number) : value(number) {}
  Limit(int number) : value(number) {}
  Limit(const char* name) : option(name) {}
  double value = 0;
  std::string option;
};

struct Option {
  enum class Type { whole, real, flag, text, reals, wholes, texts, object };
  Type type;
  std::string name, doc;
  Limit low = 0, high = 0;           // of whole and real numbers, and of each in a list
  bool above = false;                // low itself is not allowed
  int most = 0;                      // numbers of a list, at most
  bool given = false;                // it has no default: a program gives it or not
  Limit number = 0;                  // the default of a whole or real number, or 0 and 1 of a flag
  std::vector<std::string> choices;  // of a text, the default first
};

Option whole(const char* name, Limit otherwise, Limit low, Limit high, const char* doc);
/// Without a default: what it means not to give it stands in `doc`.
Option whole_if_given(const char* name, Limit low, Limit high, const char* doc);
/// low <= x <= high, or low < x where `above`
Option real(const char* name, Limit otherwise, Limit low, Limit high, const char* doc, bool above = false);
/// Any finite number
Option real(const char* name, Limit otherwise, const char* doc);
Option flag(const char* name, bool otherwise, const char* doc);
/// One of some words, the first by default
Option choice(const char* name, std::vector<std::string> words, const char* doc);
/// Lists, empty by default
Option reals(const char* name, const char* doc);
Option wholes(const char* name, Limit low, Limit high, int most, const char* doc);
Option texts(const char* name, const char* doc);
/// Radial functions, which have a table of their own
Option radial_functions(const char* doc);

using OptionTable = std::vector<Option>;

/// name -> {"type", "default", "low", "high", "choices", "doc"}
std::string as_json(const OptionTable& table);

/// What a program gives, checked, and the defaults of the rest.
class OptionValues {
 public:
  /// InputError says which option is unknown, of another type or out of range. `besides`: keys that are no options.
  OptionValues(const Options& given, const OptionTable& table, const std::vector<std::string>& besides = {});

  int whole(const std::string& name) const { return int(number(name)); }
  double real(const std::string& name) const { return number(name); }
  bool flag(const std::string& name) const { return number(name) != 0; }
  /// Was it given? Of options without a default.
  bool has(const std::string& name) const { return values_.contains(name); }
  const std::string& text(const std::string& name) const { return value<std::string>(name); }
  /// Is the choice this word of the table?
  bool is(const std::string& name, const std::string& word) const;
  const std::vector<double>& numbers(const std::string& name) const { return value<std::vector<double>>(name); }
  const std::vector<std::string>& texts(const std::string& name) const { return value<std::vector<std::string>>(name); }
  const Options& object(const std::string& name) const { return value<Options>(name); }

 private:
  using Value = std::variant<double, std::string, std::vector<double>, std::vector<std::string>, Options>;
  double number(const std::string& name) const { return value<double>(name); }
  template <class T> const T& value(const std::string& name) const;
  double number(const Limit& n) const { return n.option.empty() ? n.value : number(n.option); }
  Value read(const Options& given, const Option& option) const;

  const OptionTable& table_;
  std::map<std::string, Value> values_;
};

}  // namespace nbcore
