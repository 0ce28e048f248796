// Private: the little of SQLite that the journal needs, as values and Status.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>

#include "tributary/base/result.h"

namespace tributary::journal {

class Database;

// A prepared statement, kept for reuse. Bind from 1, read from 0, as SQLite counts.
class Statement {
 public:
  Statement() = default;
  Statement(Statement&& other) noexcept : database_(other.database_), raw_(std::exchange(other.raw_, nullptr)) {}
  Statement& operator=(Statement&& other) noexcept {
    std::swap(database_, other.database_);
    std::swap(raw_, other.raw_);
    return *this;
  }
  ~Statement() { sqlite3_finalize(raw_); }

  template <class... V>
  Statement& With(const V&... values) {
    sqlite3_reset(raw_);
    int at = 0;
    (Bind(++at, values), ...);
    return *this;
  }
  // True: a row can be read.
  Result<bool> Step();
  // For statements without rows.
  Status Run();

  std::int64_t Int(int column) const { return sqlite3_column_int64(raw_, column); }
  double Real(int column) const { return sqlite3_column_double(raw_, column); }
  std::string Text(int column) const;

 private:
  friend class Database;
  void Bind(int at, const std::string& text) {
    sqlite3_bind_text64(raw_, at, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  }
  void Bind(int at, std::int64_t number) { sqlite3_bind_int64(raw_, at, number); }
  void Bind(int at, std::uint64_t number) { sqlite3_bind_int64(raw_, at, static_cast<std::int64_t>(number)); }
  void Bind(int at, std::uint32_t number) { sqlite3_bind_int64(raw_, at, number); }
  void Bind(int at, double number) { sqlite3_bind_double(raw_, at, number); }

  Database* database_ = nullptr;
  sqlite3_stmt* raw_ = nullptr;
};

class Database {
 public:
  static Result<std::unique_ptr<Database>> Open(const std::string& path);
  ~Database();

  Status Execute(const std::string& sql);
  Result<Statement> Prepare(const std::string& sql);
  Result<std::int64_t> Number(const std::string& sql);
  // The error of the last call, with path, cause and remedy.
  Error Failure(int code, const std::string& doing) const;

 private:
  explicit Database(std::string path) : path_(std::move(path)) {}
  std::string path_;
  sqlite3* raw_ = nullptr;
};

}  // namespace tributary::journal
