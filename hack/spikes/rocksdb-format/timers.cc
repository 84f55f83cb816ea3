// Timers fire from the front of each key group, which leaves the front full of tombstones. `plain` seeks a group's begin each time; `bound` remembers per group up to where
// all have fired and seeks there; `sweep` does the same, and deletes what fired by one range per group instead of a row at a time.
#include "spike.h"

namespace spike {

int timers(const std::string& work, int argc, char** argv) {
  std::string form = argc > 0 ? argv[0] : "";
  if (form != "plain" && form != "bound" && form != "sweep") { fprintf(stderr, "timers <plain|bound|sweep>\n"); return 2; }
  uint64_t count = uint64_t(fromEnvironment("TIMERS", 2000000)), horizonMs = 1000000, stepMs = 5000;
  Memory memory(256 << 20, 64 << 20);
  ColumnFamilyOptions family = familyOptions(memory, fromEnvironment("WRITE_BUFFER", 16 << 20));
  Database d = openDatabase(work + "/db", databaseOptions(memory), family, {"timers"});
  auto put = [&](WriteBatch& batch, uint64_t id, uint64_t time) {
    std::string key;
    putU16(key, keyGroupOf(id)); key.push_back(0); putU64(key, time | 1ULL << 63); putU64(key, id | 1ULL << 63);
    batch.Put(d.families[1], key, Slice());
  };
  WriteBatch batch;
  {
    Meter meter;
    for (uint64_t id = 0; id < count; id++) {
      put(batch, id, mix(id) % horizonMs);
      if (batch.Count() >= 1000) { check(d.db->Write(withoutLog(), &batch), "write"); batch.Clear(); }
    }
    check(d.db->Write(withoutLog(), &batch), "write");
    batch.Clear();
    meter.print("register", double(count));
  }
  std::vector<uint64_t> firedTo(keyGroupCount, 0);
  for (int phase = 0; phase < 4; phase++) {
    Meter meter;
    uint64_t fired = 0;
    double worst = 0;
    for (uint64_t now = horizonMs / 4 * uint64_t(phase) + stepMs; now <= horizonMs / 4 * uint64_t(phase + 1); now += stepMs) {
      double before = meter.ownS();
      std::unique_ptr<Iterator> it(d.db->NewIterator(ReadOptions(), d.families[1]));
      for (uint32_t group = 0; group < keyGroupCount; group++) {
        std::string from, to;
        putU16(from, group); from.push_back(0); to = from;
        putU64(from, form == "plain" ? 0 : firedTo[group] | 1ULL << 63);
        putU64(to, now | 1ULL << 63);
        for (it->Seek(from); it->Valid() && it->key().compare(to) < 0; it->Next()) {
          fired++;
          if (form != "sweep") batch.Delete(d.families[1], it->key());
          uint64_t id = getU64(it->key().data() + 11) & ~(1ULL << 63);
          put(batch, id, (getU64(it->key().data() + 3) & ~(1ULL << 63)) + horizonMs);
        }
        check(it->status(), "iterate");
        if (form == "sweep") batch.DeleteRange(d.families[1], from, to);
        firedTo[group] = now;
        check(d.db->Write(withoutLog(), &batch), "write");
        batch.Clear();
      }
      worst = std::max(worst, meter.ownS() - before);
    }
    require(fired > count / 5 && fired < count, "timers fired");
    meter.print("fire a quarter, each registers its next", double(fired));
    printf("    slowest step %.0f ms of CPU for about %llu timers\n", worst * 1e3, (unsigned long long)(count * stepMs / horizonMs));
  }
  { Meter m; check(d.db->Flush(FlushOptions(), d.families), "flush"); check(d.db->WaitForCompact(WaitForCompactOptions()), "wait"); m.print("flush and compaction to rest"); }
  uint64_t left = 0;
  Meter scan;
  std::unique_ptr<Iterator> it(d.db->NewIterator(ReadOptions(), d.families[1]));
  for (it->SeekToFirst(); it->Valid(); it->Next()) left++;
  require(left == count, "as many timers as in the beginning");
  scan.print("read all of them", double(left));
  return 0;
}

}  // namespace spike
