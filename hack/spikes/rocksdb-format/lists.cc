// A list as one row that grows by merge operands, against a row per element with a sequence in its key. Windows: append, read everything once, clear, again.
#include "spike.h"

namespace spike {
namespace {

constexpr size_t elementBytes = 64;

struct Lists {
  bool merge = false;
  uint64_t count = 100000;
  Database d;
  uint64_t sequence = 0;
  WriteBatch batch;
  std::string key, element;

  void prefix(uint64_t list) { key.clear(); putU16(key, keyGroupOf(list)); putU16(key, 1); putU64(key, list | 1ULL << 63); }
  void write(bool all = true) { if (all || batch.Count() >= 1000) { check(d.db->Write(withoutLog(), &batch), "write"); batch.Clear(); } }
  void append(uint64_t list) {
    prefix(list);
    fillValue(element, sequence++, elementBytes);
    if (merge) { batch.Merge(d.families[1], key, element); } else { putU64(key, sequence); batch.Put(d.families[1], key, element); }
    write(false);
  }

  // Reads lists [from, to) in the order of their keys within batches of 100; returns the number of elements.
  uint64_t readAndClear(uint64_t from, uint64_t to, bool clear, bool range) {
    uint64_t elements = 0;
    for (uint64_t at = from; at < to; at += 100) {
      std::vector<std::string> keys;
      for (uint64_t list = at; list < std::min(at + 100, to); list++) { prefix(mix(list) % count); keys.push_back(key); }
      std::sort(keys.begin(), keys.end());
      if (merge) {
        std::vector<Slice> slices(keys.begin(), keys.end());
        std::vector<PinnableSlice> values(keys.size());
        std::vector<Status> statuses(keys.size());
        d.db->MultiGet(ReadOptions(), d.families[1], keys.size(), slices.data(), values.data(), statuses.data(), true);
        for (size_t i = 0; i < keys.size(); i++) {
          if (statuses[i].ok()) elements += values[i].size() / elementBytes; else require(statuses[i].IsNotFound(), statuses[i].ToString().c_str());
          if (clear) batch.Delete(d.families[1], keys[i]);
        }
      } else {
        for (auto& k : keys) {
          // Without the bound an empty list would be searched through the tombstones of the lists behind it.
          std::string last = k + std::string(8, char(0xff));
          Slice upper(last);
          ReadOptions read;
          read.iterate_upper_bound = &upper;
          std::unique_ptr<Iterator> it(d.db->NewIterator(read, d.families[1]));
          uint64_t before = elements;
          for (it->Seek(k); it->Valid() && it->key().starts_with(k); it->Next(), elements++) if (clear && !range) batch.Delete(d.families[1], it->key());
          check(it->status(), "iterate");
          std::string end = k;
          putU64(end, ~0ULL);
          if (clear && range && elements > before) batch.DeleteRange(d.families[1], k, end);
        }
      }
      write(false);
    }
    write();
    return elements;
  }
};

}  // namespace

int lists(const std::string& work, int argc, char** argv) {
  std::string form = argc > 0 ? argv[0] : "";
  if (form != "merge" && form != "rows" && form != "rows-range") { fprintf(stderr, "lists <merge|rows|rows-range>\n"); return 2; }
  Memory memory(fromEnvironment("MEMORY_MB", 256) << 20, 64 << 20);
  auto statistics = CreateDBStatistics();
  ColumnFamilyOptions family = familyOptions(memory, 32 << 20);
  family.merge_operator = std::make_shared<AppendOperator>();
  Lists lists;
  lists.merge = form == "merge";
  lists.d = openDatabase(work + "/db", databaseOptions(memory, statistics), family, {"state"});
  printf("%s: %llu lists, elements of %zu bytes\n", form.c_str(), (unsigned long long)lists.count, elementBytes);
  uint64_t random = 1;
  for (int round = 0; round < 4; round++) {
    Meter append;
    for (uint64_t i = 0; i < lists.count * 25; i++) { random = mix(random + 1); lists.append(random % lists.count); }
    lists.write();
    append.print("append 25 to each", double(lists.count * 25));
    Meter reread;
    uint64_t some = lists.readAndClear(0, lists.count / 10, false, false);
    reread.print("read a tenth", double(some));
    Meter fire;
    uint64_t all = 0;
    for (uint64_t list = 0; list < lists.count; list += 1000) all += lists.readAndClear(list, list + 1000, true, form == "rows-range");
    fire.print("read and clear about 63 % of them", double(all));
    Meter empty;
    lists.readAndClear(0, lists.count / 10, false, false);
    empty.print("read a tenth, now empty (per list)", double(lists.count) / 10);
  }
  { Meter m; check(lists.d.db->Flush(FlushOptions(), lists.d.families), "flush"); check(lists.d.db->WaitForCompact(WaitForCompactOptions()), "wait"); m.print("flush and compaction to rest"); }
  {
    Meter m;
    constexpr uint64_t elements = 1000000;
    for (uint64_t i = 0; i < elements; i++) { lists.append(0); if (i % 4 == 0) { random = mix(random + 1); lists.append(random % lists.count); } }
    lists.write();
    check(lists.d.db->Flush(FlushOptions(), lists.d.families), "flush");
    check(lists.d.db->WaitForCompact(WaitForCompactOptions()), "wait");
    m.print("a million elements to one list", double(elements));
    printf("    RSS %.0f MB, peak %.0f MB\n", rssMb(), peakRssMb());
    Meter r;
    std::vector<std::string> none;
    lists.prefix(0);
    if (lists.merge) {
      std::string value;
      check(lists.d.db->Get(ReadOptions(), lists.d.families[1], lists.key, &value), "get");
      require(value.size() / elementBytes >= elements, "elements of the large list");
    } else {
      uint64_t n = 0;
      std::unique_ptr<Iterator> it(lists.d.db->NewIterator(ReadOptions(), lists.d.families[1]));
      for (it->Seek(lists.key); it->Valid() && it->key().starts_with(lists.key); it->Next()) n++;
      require(n >= elements, "elements of the large list");
    }
    r.print("read it", double(elements));
    printf("    RSS %.0f MB, peak %.0f MB\n", rssMb(), peakRssMb());
  }
  return 0;
}

}  // namespace spike
