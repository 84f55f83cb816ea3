// One column family per state against one for all with the state's id in the key, before or after the record's key, under one strict memory cap.
#include <atomic>

#include "rocksdb/listener.h"
#include "spike.h"

namespace spike {
namespace {

enum class Layout { familyPerState, stateFirst, keyFirst };

struct Counter : EventListener {
  std::atomic<int> flushes{0}, compactions{0};
  void OnFlushCompleted(DB*, const FlushJobInfo&) override { flushes++; }
  void OnCompactionCompleted(DB*, const CompactionJobInfo&) override { compactions++; }
};

struct Case {
  Layout layout;
  uint32_t states;
  uint64_t keys;
  size_t valueBytes = fromEnvironment("VALUE_BYTES", 64);
  Memory memory{fromEnvironment("MEMORY_MB", 512) << 20, fromEnvironment("WRITE_BUFFERS_MB", 128) << 20};
  std::shared_ptr<Statistics> statistics = CreateDBStatistics();
  std::shared_ptr<Counter> counter = std::make_shared<Counter>();
  Database d;

  void open(const std::string& path) {
    std::vector<std::string> names{"state"};
    if (layout == Layout::familyPerState) {
      names.clear();
      for (uint32_t s = 1; s <= states; s++) names.push_back("state-" + std::to_string(s));
    }
    DBOptions options = databaseOptions(memory, statistics);
    options.listeners = {counter};
    d = openDatabase(path, options, familyOptions(memory), names);
  }
  ColumnFamilyHandle* family(uint32_t state) const { return d.families[layout == Layout::familyPerState ? state : 1]; }
  void key(std::string& out, uint64_t id, uint32_t state) const {
    out.clear();
    putU16(out, keyGroupOf(id));
    if (layout == Layout::stateFirst) putU16(out, state);
    putU64(out, mix(id) | 1ULL << 63);
    if (layout == Layout::keyFirst) putU16(out, state);
  }
  void settle() {
    check(d.db->Flush(FlushOptions(), d.families), "flush");
    check(d.db->WaitForCompact(WaitForCompactOptions()), "wait for compaction");
  }
  void describe() {
    uint64_t tables = 0, bytes = 0, memtable = 0, estimate = 0, readers = 0;
    for (auto* f : d.families) {
      ColumnFamilyMetaData meta;
      d.db->GetColumnFamilyMetaData(f, &meta);
      tables += meta.file_count;
      bytes += meta.size;
      memtable += number(d.db.get(), f, "rocksdb.cur-size-all-mem-tables");
      readers += number(d.db.get(), f, "rocksdb.estimate-table-readers-mem");
      estimate += number(d.db.get(), f, "rocksdb.estimate-num-keys");
    }
    printf("    %llu tables, %.0f MB, about %.1f M rows; memtables %.0f MB, cache %.0f MB (pinned %.0f), readers outside it %.0f MB; RSS %.0f MB, peak %.0f MB; %d flushes, %d compactions, stalled %.1f s\n",
           (unsigned long long)tables, double(bytes) / 1e6, double(estimate) / 1e6, double(memtable) / 1e6, double(memory.cache->GetUsage()) / 1e6,
           double(memory.cache->GetPinnedUsage()) / 1e6, double(readers) / 1e6, rssMb(), peakRssMb(), counter->flushes.load(), counter->compactions.load(),
           double(statistics->getTickerCount(STALL_MICROS)) / 1e6);
    fflush(stdout);
  }
};

// Reads, and with `write` writes back, rows of random keys: `perKey` states of each, or one random state.
void access(Case& c, const char* what, uint64_t total, bool allStates, bool write, uint64_t idFrom) {
  uint32_t perKey = allStates ? c.states : 1;
  size_t batchKeys = std::max<size_t>(1, 1000 / perKey);
  size_t n = batchKeys * perKey;
  std::vector<std::string> keys(n);
  std::vector<Slice> slices(n);
  std::vector<ColumnFamilyHandle*> families(n);
  std::vector<PinnableSlice> values(n);
  std::vector<Status> statuses(n);
  std::vector<std::pair<std::string, uint32_t>> order(n);
  WriteBatch batch;
  std::string value;
  uint64_t random = 42, hits = 0, done = 0;
  Meter meter;
  while (done < total) {
    for (size_t k = 0; k < batchKeys; k++) {
      random = mix(random + 0x9e3779b97f4a7c15ULL);
      uint64_t id = idFrom + random % c.keys;
      for (uint32_t s = 0; s < perKey; s++) {
        uint32_t state = allStates ? s + 1 : uint32_t(random >> 40) % c.states + 1;
        auto& entry = order[k * perKey + s];
        c.key(entry.first, id, state);
        entry.second = state;
      }
    }
    bool byFamily = c.layout == Layout::familyPerState;
    std::sort(order.begin(), order.end(), [&](auto& a, auto& b) { return byFamily && a.second != b.second ? a.second < b.second : a.first < b.first; });
    for (size_t i = 0; i < n; i++) { slices[i] = order[i].first; families[i] = c.family(order[i].second); values[i].Reset(); }
    if (byFamily) {
      for (size_t from = 0; from < n;) {
        size_t to = from;
        while (to < n && families[to] == families[from]) to++;
        c.d.db->MultiGet(ReadOptions(), families[from], to - from, &slices[from], &values[from], &statuses[from], true);
        from = to;
      }
    } else {
      c.d.db->MultiGet(ReadOptions(), families[0], n, slices.data(), values.data(), statuses.data(), true);
    }
    for (size_t i = 0; i < n; i++) {
      if (statuses[i].ok()) { hits++; require(values[i].size() == c.valueBytes, "size of a value"); }
      else require(statuses[i].IsNotFound(), statuses[i].ToString().c_str());
      if (write) { fillValue(value, random + i, c.valueBytes); batch.Put(families[i], slices[i], value); }
    }
    if (write) { check(c.d.db->Write(withoutLog(), &batch), "write"); batch.Clear(); }
    done += n;
  }
  require(idFrom > 0 ? hits == 0 : hits == done, "a row is missing or too many");
  meter.print(what, double(done));
}

}  // namespace

int layout(const std::string& work, int argc, char** argv) {
  const std::map<std::string, Layout> layouts{{"cf", Layout::familyPerState}, {"state-first", Layout::stateFirst}, {"key-first", Layout::keyFirst}};
  if (argc < 2 || !layouts.count(argv[0])) { fprintf(stderr, "layout <cf|state-first|key-first> <states> [thousand keys]\n"); return 2; }
  Case c{layouts.at(argv[0]), uint32_t(atoi(argv[1])), uint64_t(argc > 2 ? atoi(argv[2]) : 1000) * 1000};
  std::string path = work + "/db";
  c.open(path);
  printf("%s, %u states, %llu keys\n", argv[0], c.states, (unsigned long long)c.keys);
  {
    Meter meter;
    WriteBatch batch;
    std::string key, value;
    for (uint64_t i = 0; i < c.keys; i++) {
      uint64_t id = i * 7919 % c.keys;
      for (uint32_t s = 1; s <= c.states; s++) {
        c.key(key, id, s);
        fillValue(value, id * 64 + s, c.valueBytes);
        batch.Put(c.family(s), key, value);
      }
      if (batch.Count() >= 1000) { check(c.d.db->Write(withoutLog(), &batch), "write"); batch.Clear(); }
    }
    check(c.d.db->Write(withoutLog(), &batch), "write");
    meter.print("load, all states of a key together", double(c.keys * c.states));
  }
  c.describe();
  { Meter meter; c.settle(); meter.print("flush and compaction to rest"); }
  c.describe();
  uint64_t reads = fromEnvironment("READS", 1000000);
  access(c, "warm up", reads / 2, false, false, 0);
  access(c, "read all states of a key", reads, true, false, 0);
  access(c, "read one state of a key", reads, false, false, 0);
  access(c, "read one state of an absent key", reads, false, false, c.keys);
  access(c, "read and write one state of a key", reads, false, true, 0);
  access(c, "read and write all states of a key", reads, true, true, 0);
  c.describe();
  for (int i = 0; i < 3; i++) {
    access(c, "  read and write one, before a checkpoint", 100000, false, true, 0);
    Checkpoint* checkpoint;
    int before = c.counter->flushes;
    Meter meter;
    check(c.d.db->Flush(FlushOptions(), c.d.families), "flush");
    meter.print("checkpoint: flush");
    Meter links;
    check(Checkpoint::Create(c.d.db.get(), &checkpoint), "checkpoint");
    check(checkpoint->CreateCheckpoint(work + "/chk"), "checkpoint");
    delete checkpoint;
    links.print("checkpoint: links");
    int files = 0;
    for (auto& e : fs::directory_iterator(work + "/chk")) files += e.is_regular_file();
    printf("    %d files in the checkpoint, %d flushes for it\n", files, c.counter->flushes - before);
    fs::remove_all(work + "/chk");
  }
  c.settle();
  if (c.states > 1) {
    uint32_t dropped = c.states / 2;
    Meter meter;
    if (c.layout == Layout::familyPerState) {
      check(c.d.db->DropColumnFamily(c.d.families[dropped]), "drop");
    } else if (c.layout == Layout::stateFirst) {
      for (uint32_t g = 0; g < keyGroupCount; g++) {
        std::string from, to;
        putU16(from, g); putU16(from, dropped); putU16(to, g); putU16(to, dropped + 1);
        check(c.d.db->DeleteRange(withoutLog(), c.family(1), from, to), "delete range");
      }
    } else {
      printf("    key first: no range holds a state, so dropping one is reading everything\n");
    }
    meter.print("drop one state");
    c.describe();
    if (c.layout != Layout::familyPerState) access(c, "read one state of an absent key, after it", reads, false, false, c.keys);
    { Meter m; c.settle(); for (auto* f : c.d.families) if (c.layout != Layout::familyPerState) check(c.d.db->CompactRange(CompactRangeOptions(), f, nullptr, nullptr), "compact"); m.print("compact all of it"); }
    c.describe();
  }
  return 0;
}

}  // namespace spike
