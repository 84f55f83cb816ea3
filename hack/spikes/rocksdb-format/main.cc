#include "spike.h"

int main(int argc, char** argv) {
  using namespace spike;
  const std::map<std::string, int (*)(const std::string&, int, char**)> commands{
      {"rescale", rescale}, {"layout", layout}, {"lists", lists}, {"timers", timers}, {"order", order}};
  auto command = argc > 2 ? commands.find(argv[2]) : commands.end();
  if (command == commands.end()) {
    fprintf(stderr, "one of rescale, layout, lists, timers, order\n");
    return 2;
  }
  std::string work = std::string(argv[1]) + "/" + argv[2] + "-" + std::to_string(getpid());
  fs::create_directories(work);
  double load[1] = {0};
  getloadavg(load, 1);
  printf("load %.1f\n", load[0]);
  int code = command->second(work, argc - 3, argv + 3);
  if (!getenv("KEEP")) fs::remove_all(work);
  return code;
}
