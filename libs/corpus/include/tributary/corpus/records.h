// Records out of files that hold many: lines, the elements of a JSON array, the rows of a CSV file.
//
// One record is in memory at a time, 16 MiB at most. `take` gets each with the number of the line
// where it begins, and says whether to go on; the views live during the call. Functions without
// state; any thread. Errors name file and line; an error of `take` ends the reading and is given on.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/corpus/files.h"

namespace tributary::corpus {

using TakeRecord = std::function<Result<bool>(std::string_view record, std::uint64_t line)>;
using TakeRow =
    std::function<Result<bool>(const std::vector<std::string>& fields, std::uint64_t line)>;

// Lines without their end (LF or CR LF); blank ones are left out, and so is a byte-order mark.
Status EachLine(const DataFile& file, const TakeRecord& take);
// The objects of a JSON array as text, or, where the file begins with '{', each line.
Status EachJsonRecord(const DataFile& file, const TakeRecord& take);
// RFC 4180: fields apart by commas, quoted where they hold commas, newlines or (doubled) quotes;
// rows end with LF or CR LF; a first row that names the columns is handed on like the others.
// Empty lines are left out. A row that has not as many fields as the first is refused.
Status EachCsvRow(const DataFile& file, const TakeRow& take);

}  // namespace tributary::corpus
