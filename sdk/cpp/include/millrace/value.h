// A view over a value as a handler is given it: what is in it is read where it lies.
#ifndef MILLRACE_VALUE_H_
#define MILLRACE_VALUE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "millrace/plugin_abi.h"
#include "millrace/token.h"

namespace millrace {

// A value in place. It owns nothing: it holds as long as the call that it came with (a value of a Packed, as long as
// that). Looking something up walks over what stands before it; nothing is allocated.
class Value {
 public:
  using Type = ValueType;

  Value() = default;  // nil
  // One MessagePack value. REQUIRES: well-formed, as all that the host hands over is.
  static Value OfPacked(std::string_view packed) {
    Value value;
    value.at_ = packed.data();
    value.end_ = packed.data() + packed.size();
    return value;
  }
  static Value OfRaw(std::string_view raw) {
    Value value = OfPacked(raw);
    value.layout_ = Layout::kRaw;
    return value;
  }
  // An object: one packed value for each name.
  static Value OfRow(std::string_view values, const millrace_bytes* names, uint32_t count) {
    Value value = OfPacked(values);
    value.layout_ = Layout::kRow;
    value.names_ = names;
    value.name_count_ = count;
    return value;
  }

  Type type() const {
    return layout_ == Layout::kRaw ? Type::kBytes : layout_ == Layout::kRow ? Type::kMap : Read().type;
  }
  bool is_nil() const { return type() == Type::kNil; }

  // Each throws Error where the value is of another type. An integer is a number, too.
  bool Bool() const { return Want(Type::kBool, "a boolean").integer != 0; }
  int64_t Int() const {
    const Token token = Want(Type::kInt, "an integer");
    if (token.is_above_int64) throw Error("the integer is larger than an int64_t holds");
    return token.integer;
  }
  double Number() const {
    const Token token = Read();
    if (token.type == Type::kInt) {
      return token.is_above_int64 ? static_cast<double>(static_cast<uint64_t>(token.integer))
                                  : static_cast<double>(token.integer);
    }
    return Want(Type::kDouble, "a number").real;
  }
  std::string_view String() const { return Want(Type::kString, "a string").text; }
  // Of bytes, of a string, and of a raw value.
  std::string_view AsBytes() const {
    if (layout_ == Layout::kRaw) return {at_, static_cast<size_t>(end_ - at_)};
    const Token token = Read();
    if (token.type == Type::kString) return token.text;
    return Want(Type::kBytes, "bytes").text;
  }

  // The same, and `otherwise` where there is no value.
  bool BoolOr(bool otherwise) const { return is_nil() ? otherwise : Bool(); }
  int64_t IntOr(int64_t otherwise) const { return is_nil() ? otherwise : Int(); }
  double NumberOr(double otherwise) const { return is_nil() ? otherwise : Number(); }
  std::string_view StringOr(std::string_view otherwise) const { return is_nil() ? otherwise : String(); }

  // How many items a list, or fields an object, has.
  size_t size() const {
    if (layout_ == Layout::kRow) return name_count_;
    const Token token = Read();
    if (token.type != Type::kList && token.type != Type::kMap) WrongType(token.type, "a list or an object");
    return token.count;
  }

  // A field; nil where the object has none of that name, and of nil.
  Value operator[](std::string_view name) const {
    Value found;
    if (is_nil()) return found;
    ForEachField([&](std::string_view field, const Value& value) {
      if (field == name) found = value;
    });
    return found;
  }
  Value operator[](const char* name) const { return (*this)[std::string_view(name)]; }

  // item(Value) for each item of a list, in order.
  template <typename Function>
  void ForEachItem(Function item) const {
    const Token list = Want(Type::kList, "a list");
    Value rest = OfPacked({list.behind, static_cast<size_t>(end_ - list.behind)});
    for (uint32_t i = 0; i < list.count; ++i) item(rest.Take());
  }
  // field(std::string_view name, Value) for each field of an object, in its order. Names that are no text are left
  // out.
  template <typename Function>
  void ForEachField(Function field) const {
    Value rest = *this;
    rest.layout_ = Layout::kPacked;
    if (layout_ == Layout::kRow) {
      for (uint32_t i = 0; i < name_count_; ++i)
        field(std::string_view(names_[i].data, names_[i].size), rest.Take());
      return;
    }
    const Token map = Want(Type::kMap, "an object");
    rest.at_ = map.behind;
    for (uint32_t i = 0; i < map.count; ++i) {
      const Value name = rest.Take();
      const Value value = rest.Take();
      if (name.type() == Type::kString) field(name.String(), value);
    }
  }

  // Appends the value, packed; a raw one as bytes (packed.h).
  void AppendTo(std::string* packed) const;

 private:
  enum class Layout { kPacked, kRaw, kRow };
  using Token = internal::Token;

  Token Read() const { return internal::ReadToken(at_, end_); }
  [[noreturn]] static void WrongType(Type is, const char* wanted) {
    throw Error(std::string("expected ") + wanted + ", got " + internal::NameOf(is));
  }
  Token Want(Type type, const char* wanted) const {
    if (layout_ != Layout::kPacked) WrongType(this->type(), wanted);
    const Token token = Read();
    if (token.type != type) WrongType(token.type, wanted);
    return token;
  }
  // The value that begins here, and goes behind it.
  Value Take() {
    Value value = *this;
    at_ = internal::BehindValue(at_, end_);
    value.end_ = at_;
    return value;
  }

  const char* at_ = nullptr;
  const char* end_ = nullptr;
  Layout layout_ = Layout::kPacked;
  const millrace_bytes* names_ = nullptr;
  uint32_t name_count_ = 0;
};

}  // namespace millrace

#endif  // MILLRACE_VALUE_H_
