// Text of anybody's as part of an HTML or SVG document, or of JSON inside one.
//
// Pure functions, any thread; nothing fails. What is no UTF-8, and control characters, become U+FFFD: a document has no place for them.
#pragma once

#include <string>
#include <string_view>

namespace tributary::chart {

// Between tags, and in attributes with quotes of either kind.
std::string Escape(std::string_view text);
// A JSON string with its quotes that may stand in a <script> element: nothing in it ends the element.
std::string JsonText(std::string_view text);
// A number for a coordinate: at most two decimals, no "-0".
std::string Coordinate(double value);

}  // namespace tributary::chart
