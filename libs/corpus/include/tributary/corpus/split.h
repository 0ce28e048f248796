// Where a text is cut: into documents, and into its training and its validation part.
//
// A collection of fortunes separates its documents by lines "%"; any other text by blank lines.
// Every piece keeps its separator, so that the pieces joined are the text again. Pure functions;
// the views point into the caller's text.
#pragma once

#include <string_view>
#include <vector>

namespace tributary::corpus {

struct SplitViews {
  std::string_view training;
  std::string_view validation;
};

// The validation part is the last `validation_fraction` of the text, cut at the end of a document
// (fortunes) or of a line (other text); at least one such piece where the text has two. A text in
// one piece is all training.
SplitViews SplitText(std::string_view text, double validation_fraction);

std::vector<std::string_view> SplitDocuments(std::string_view text);

}  // namespace tributary::corpus
