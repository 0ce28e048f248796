#include "sqlite.h"

namespace tributary::journal {

Result<bool> Statement::Step() {
  const int code = sqlite3_step(raw_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    sqlite3_reset(raw_);
    return false;
  }
  Error error = database_->Failure(code, "reading or writing");
  sqlite3_reset(raw_);
  return error;
}

Status Statement::Run() {
  const auto stepped = Step();
  if (!stepped.ok()) return stepped.error();
  sqlite3_reset(raw_);
  return Ok();
}

std::string Statement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(raw_, column));
  return text == nullptr ? std::string() : std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(raw_, column)));
}

Result<std::unique_ptr<Database>> Database::Open(const std::string& path) {
  std::unique_ptr<Database> database(new Database(path));
  const int code = sqlite3_open_v2(path.c_str(), &database->raw_,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (code != SQLITE_OK) return database->Failure(code, "opening");
  sqlite3_extended_result_codes(database->raw_, 1);
  return database;
}

Database::~Database() { sqlite3_close_v2(raw_); }

Status Database::Execute(const std::string& sql) {
  const int code = sqlite3_exec(raw_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return Failure(code, "reading or writing");
  return Ok();
}

Result<Statement> Database::Prepare(const std::string& sql) {
  Statement statement;
  statement.database_ = this;
  const int code = sqlite3_prepare_v3(raw_, sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &statement.raw_, nullptr);
  if (code != SQLITE_OK) return Failure(code, "reading");
  return statement;
}

Result<std::int64_t> Database::Number(const std::string& sql) {
  TRIBUTARY_ASSIGN(Statement statement, Prepare(sql));
  TRIBUTARY_ASSIGN(const bool row, statement.Step());
  return row ? statement.Int(0) : 0;
}

Error Database::Failure(int code, const std::string& doing) const {
  const char* cause = raw_ != nullptr ? sqlite3_errmsg(raw_) : sqlite3_errstr(code);
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return MakeError(Code::kUnavailable,
                       "another coordinator runs on the journal {}; stop it, or give this one its own --state-dir", path_);
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return MakeError(Code::kDataLoss,
                       "the journal {} is damaged or no journal ({}); nothing was changed: restore it from a copy, or "
                       "give the coordinator another --state-dir",
                       path_, cause);
    case SQLITE_FULL:
      return MakeError(Code::kResourceExhausted,
                       "no room on the disk of the journal {}; make room and start again, nothing decided is lost", path_);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return MakeError(Code::kPermission, "the journal {} may not be written by this user ({})", path_, cause);
    case SQLITE_CANTOPEN:
      return MakeError(Code::kIo, "the journal {} cannot be opened; its directory must exist and be writable ({})", path_,
                       cause);
    default:
      return MakeError(Code::kIo, "{} the journal {} failed: {}", doing, path_, cause);
  }
}

}  // namespace tributary::journal
