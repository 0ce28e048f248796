// The subcommands of `tributary`. Each parses its own words and returns the process's exit code:
// 0 done, 1 failed (the last line on stderr says why and what to do), 2 usage; watch.h has one more.
#pragma once

namespace tributary::cli {

int RunCommand(int argc, char** argv);
int SubmitCommand(int argc, char** argv);
int StatusCommand(int argc, char** argv);
int ListCommand(int argc, char** argv);
int StopCommand(int argc, char** argv);
int LogsCommand(int argc, char** argv);
int ResumeCommand(int argc, char** argv);
int ReportCommand(int argc, char** argv);
int KeygenCommand(int argc, char** argv);
int PingCommand(int argc, char** argv);
int ImportCommand(int argc, char** argv);
int ExportCommand(int argc, char** argv);
int PutCommand(int argc, char** argv);
int GetCommand(int argc, char** argv);
int OffersCommand(int argc, char** argv);
int TrainCommand(int argc, char** argv);
int GenerateCommand(int argc, char** argv);
int EvaluateCommand(int argc, char** argv);
int BenchAggregateCommand(int argc, char** argv);
int BenchTransferCommand(int argc, char** argv);
int BenchRoundCommand(int argc, char** argv);
int BenchMemoryCommand(int argc, char** argv);

}  // namespace tributary::cli
