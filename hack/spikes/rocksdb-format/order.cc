// Ids that grow with time, of which the recent ones are used: what it is worth that the bytes of keys sort like the numbers.
#include "spike.h"

namespace spike {

int order(const std::string& work, int argc, char** argv) {
  std::string form = argc > 0 ? argv[0] : "";
  if (form != "ordered" && form != "varint") { fprintf(stderr, "order <ordered|varint>\n"); return 2; }
  uint64_t count = 10000000, recent = 200000;
  Memory memory(64 << 20, 16 << 20);
  Database d = openDatabase(work + "/db", databaseOptions(memory), familyOptions(memory, 8 << 20), {"state"});
  auto fillKey = [&](std::string& key, uint64_t id) {
    key.clear();
    putU16(key, keyGroupOf(id)); putU16(key, 1);
    if (form == "ordered") { key.push_back(char(0xf9)); for (int s = 16; s >= 0; s -= 8) key.push_back(char(id >> s)); }
    else for (uint64_t rest = id * 2;; rest >>= 7) { key.push_back(char((rest & 127) | (rest > 127 ? 128 : 0))); if (rest <= 127) break; }
  };
  std::string key, value;
  WriteBatch batch;
  {
    Meter meter;
    for (uint64_t id = 0; id < count; id++) {
      fillKey(key, id);
      fillValue(value, id, 100);
      batch.Put(d.families[1], key, value);
      if (batch.Count() >= 1000) { check(d.db->Write(withoutLog(), &batch), "write"); batch.Clear(); }
    }
    check(d.db->Write(withoutLog(), &batch), "write");
    batch.Clear();
    meter.print("write ids in the order of time", double(count));
  }
  { Meter m; check(d.db->Flush(FlushOptions(), d.families), "flush"); check(d.db->WaitForCompact(WaitForCompactOptions()), "wait"); m.print("flush and compaction to rest"); }
  for (int pass = 0; pass < 2; pass++) {
    Meter meter;
    uint64_t random = 7, reads = 1000000;
    std::string found;
    for (uint64_t i = 0; i < reads; i++) {
      random = mix(random + 1);
      fillKey(key, count - 1 - random % recent);
      check(d.db->Get(ReadOptions(), d.families[1], key, &found), "get");
    }
    meter.print(pass == 0 ? "read recent ids, cold" : "read recent ids, warm", double(reads));
  }
  return 0;
}

}  // namespace spike
