// 2 -> 3 and 3 -> 2: a subtask's range of key groups is put together from snapshots of the former subtasks, in each way RocksDB has for it, and every row is compared.
#include "spike.h"

namespace spike {
namespace {

struct Range { uint32_t first, last; };  // key groups, both inclusive
struct Part { std::string path; Range range; };

Range rangeOf(uint32_t subtask, uint32_t parallelism) {
  return {(subtask * keyGroupCount + parallelism - 1) / parallelism, ((subtask + 1) * keyGroupCount - 1) / parallelism};
}
std::string bound(uint32_t keyGroup) { std::string b; putU16(b, keyGroup); return b; }

// Rows have been overwritten and deleted, as in a job that has run for a while.
bool deleted(uint64_t id) { return mix(id + 1) % 10 == 0; }
bool overwritten(uint64_t id) { return mix(id) % 4 == 0; }
void fillKey(std::string& key, uint64_t id) { key.clear(); putU16(key, keyGroupOf(id)); putU16(key, uint32_t(id % 3 + 1)); putU64(key, id ^ 1ULL << 63); }

struct Context {
  std::string work;
  uint64_t rows;
  Memory memory{1ULL << 30, 128 << 20};
  Database open(const std::string& path, std::vector<std::string> names) { return openDatabase(path, databaseOptions(memory), familyOptions(memory), names); }
};

void build(Context& context, const std::string& path, Range range) {
  std::string live = path + "-live";
  Database d = context.open(live, {"state"});
  WriteBatch batch;
  std::string key, value;
  auto flushBatch = [&](bool all) { if (batch.Count() >= 1000 || all) { check(d.db->Write(withoutLog(), &batch), "write"); batch.Clear(); } };
  for (int pass = 0; pass < 2; pass++) {
    for (uint64_t i = 0; i < context.rows; i++) {
      uint64_t id = i * 7919 % context.rows;
      uint32_t group = keyGroupOf(id);
      if (group < range.first || group > range.last) continue;
      fillKey(key, id);
      if (pass == 0 || overwritten(id)) { fillValue(value, id * 2 + uint64_t(pass), 100); batch.Put(d.families[1], key, value); }
      if (pass == 1 && deleted(id)) batch.Delete(d.families[1], key);
      flushBatch(false);
    }
  }
  flushBatch(true);
  check(d.db->Flush(FlushOptions(), d.families), "flush");
  Checkpoint* checkpoint;
  check(Checkpoint::Create(d.db.get(), &checkpoint), "checkpoint");
  check(checkpoint->CreateCheckpoint(path), "checkpoint");
  delete checkpoint;
  d.close();
  fs::remove_all(live);
}

void verify(Context& context, DB* db, ColumnFamilyHandle* family, Range range, const char* what) {
  uint64_t expected = 0, found = 0;
  for (uint64_t id = 0; id < context.rows; id++) { uint32_t g = keyGroupOf(id); expected += g >= range.first && g <= range.last && !deleted(id); }
  ReadOptions options;
  options.fill_cache = false;
  options.readahead_size = 2 << 20;
  std::unique_ptr<Iterator> it(db->NewIterator(options, family));
  std::string key, value;
  for (it->SeekToFirst(); it->Valid(); it->Next(), found++) {
    require(it->key().size() == 12, what);
    uint64_t id = getU64(it->key().data() + 4) ^ 1ULL << 63;
    fillKey(key, id);
    fillValue(value, id * 2 + overwritten(id), 100);
    uint32_t g = keyGroupOf(id);
    require(it->key() == key && it->value() == value && !deleted(id) && g >= range.first && g <= range.last, what);
  }
  check(it->status(), what);
  if (found != expected) { fprintf(stderr, "%s: %llu rows, expected %llu\n", what, (unsigned long long)found, (unsigned long long)expected); exit(1); }
}

// As a restore from a local or downloaded snapshot does: tables are linked, small files copied.
void linkCopy(const std::string& from, const std::string& to) {
  fs::create_directories(to);
  for (auto& entry : fs::directory_iterator(from)) {
    auto target = fs::path(to) / entry.path().filename();
    if (entry.path().extension() == ".sst") fs::create_hard_link(entry.path(), target);
    else fs::copy_file(entry.path(), target);
  }
}

bool inside(Range part, Range range) { return part.first >= range.first && part.last <= range.last; }

// Rewrites files even when nothing lies outside, so callers ask `inside` first.
void clip(Database& d, Range range, ColumnFamilyHandle* family) { check(d.db->ClipColumnFamily(family, bound(range.first), bound(range.last + 1)), "clip"); }

void deleteOutside(Database& d, Range range) {
  std::string low = bound(0), first = bound(range.first), end = bound(range.last + 1), high = bound(keyGroupCount);
  for (auto& [from, to] : std::vector<std::pair<std::string, std::string>>{{low, first}, {end, high}}) {
    if (from == to) continue;
    Slice f(from), t(to);
    check(DeleteFilesInRange(d.db.get(), d.families[1], &f, &t, false), "delete files");
    check(d.db->DeleteRange(withoutLog(), d.families[1], f, t), "delete range");
  }
}

void report(const Meter& meter, const char* what, const std::string& path) {
  meter.print(what);
  DirectoryUse use(path);
  printf("    %d tables, %d still links; %.0f MB of its own, %.0f MB shared\n", use.tables, use.linkedTables, double(use.ownBytes) / 1e6, double(use.linkedBytes) / 1e6);
}

std::vector<Part> overlapping(const std::vector<Part>& parts, Range range) {
  std::vector<Part> result;
  for (auto& part : parts) if (part.range.first <= range.last && part.range.last >= range.first) result.push_back(part);
  std::sort(result.begin(), result.end(), [&](const Part& a, const Part& b) {
    auto width = [&](const Part& p) { return std::min(p.range.last, range.last) - std::max(p.range.first, range.first); };
    return width(a) > width(b);
  });
  return result;  // the largest overlap first
}

ExportImportFilesMetaData* exportFamily(Database& d, const std::string& path) {
  Checkpoint* checkpoint;
  ExportImportFilesMetaData* metadata = nullptr;
  check(Checkpoint::Create(d.db.get(), &checkpoint), "checkpoint");
  check(checkpoint->ExportColumnFamily(d.families[1], path, &metadata), "export");
  delete checkpoint;
  return metadata;
}

enum class After { nothing, clip, deleteOutside };

// Every part's files enter one new column family.
Status importAll(Context& c, const std::vector<Part>& parts, Range range, const std::string& target, bool clipBefore, After after) {
  std::vector<ExportImportFilesMetaData*> exports;
  for (size_t i = 0; i < parts.size(); i++) {
    std::string source = target + "-source" + std::to_string(i);
    linkCopy(parts[i].path, source);
    Database d = c.open(source, {"state"});
    if (clipBefore && !inside(parts[i].range, range)) clip(d, range, d.families[1]);
    exports.push_back(exportFamily(d, target + "-export" + std::to_string(i)));
    d.close();
    fs::remove_all(source);
  }
  Database d = c.open(target, {});
  ImportColumnFamilyOptions options;
  options.move_files = true;
  ColumnFamilyHandle* family = nullptr;
  std::vector<const ExportImportFilesMetaData*> list(exports.begin(), exports.end());
  Meter meter;
  Status status = d.db->CreateColumnFamilyWithImport(familyOptions(c.memory), "state", options, list, &family);
  if (status.ok()) { d.families.push_back(family); meter.print("  of this the import"); }
  if (status.ok() && after == After::clip) { Meter m; clip(d, range, family); m.print("  of this the clip"); }
  if (status.ok() && after == After::deleteOutside) { deleteOutside(d, range); check(d.db->Flush(FlushOptions(), d.families), "flush"); }
  for (auto* e : exports) delete e;
  return status;
}

void sstFromIterator(Context& c, const Part& part, Range range, Database& base, const std::string& scratch) {
  linkCopy(part.path, scratch);
  Database d = c.open(scratch, {"state"});
  ReadOptions read;
  read.fill_cache = false;
  read.readahead_size = 2 << 20;
  std::string endKey = bound(range.last + 1);
  Slice upper(endKey);
  read.iterate_upper_bound = &upper;
  std::unique_ptr<Iterator> it(d.db->NewIterator(read, d.families[1]));
  Options tableOptions(DBOptions(), familyOptions(c.memory));
  std::vector<std::string> files;
  std::unique_ptr<SstFileWriter> writer;
  for (it->Seek(bound(range.first)); it->Valid(); it->Next()) {
    if (!writer) { files.push_back(scratch + "-" + std::to_string(files.size()) + ".sst"); writer = std::make_unique<SstFileWriter>(EnvOptions(), tableOptions); check(writer->Open(files.back()), "sst"); }
    check(writer->Put(it->key(), it->value()), "sst");
    if (writer->FileSize() > 64 << 20) { check(writer->Finish(), "sst"); writer.reset(); }
  }
  check(it->status(), "iterate");
  if (writer) check(writer->Finish(), "sst");
  it.reset();
  d.close();
  IngestExternalFileOptions options;
  options.move_files = true;
  check(base.db->IngestExternalFile(base.families[1], files, options), "ingest");
  fs::remove_all(scratch);
}

Status ingestOwnFiles(Context& c, const Part& part, Range range, Database& base, const std::string& scratch, bool compact) {
  linkCopy(part.path, scratch);
  Database d = c.open(scratch, {"state"});
  if (!inside(part.range, range)) clip(d, range, d.families[1]);
  if (compact) {
    CompactRangeOptions options;
    options.bottommost_level_compaction = BottommostLevelCompaction::kForce;
    check(d.db->CompactRange(options, d.families[1], nullptr, nullptr), "compact");
  }
  std::unique_ptr<ExportImportFilesMetaData> metadata(exportFamily(d, scratch + "-export"));
  d.close();
  std::vector<std::string> files;
  for (auto& file : metadata->files) files.push_back(file.db_path + "/" + file.name);
  IngestExternalFileOptions options;
  options.move_files = true;
  options.allow_db_generated_files = true;
  Status status = base.db->IngestExternalFile(base.families[1], files, options);
  fs::remove_all(scratch);
  fs::remove_all(scratch + "-export");
  return status;
}

void writeFromIterator(Context& c, const Part& part, Range range, Database& base, const std::string& scratch) {
  linkCopy(part.path, scratch);
  Database d = c.open(scratch, {"state"});
  ReadOptions read;
  read.fill_cache = false;
  read.readahead_size = 2 << 20;
  std::string endKey = bound(range.last + 1);
  Slice upper(endKey);
  read.iterate_upper_bound = &upper;
  std::unique_ptr<Iterator> it(d.db->NewIterator(read, d.families[1]));
  WriteBatch batch;
  for (it->Seek(bound(range.first)); it->Valid(); it->Next()) {
    batch.Put(base.families[1], it->key(), it->value());
    if (batch.GetDataSize() > 1 << 20) { check(base.db->Write(withoutLog(), &batch), "write"); batch.Clear(); }
  }
  check(it->status(), "iterate");
  check(base.db->Write(withoutLog(), &batch), "write");
  it.reset();
  d.close();
  fs::remove_all(scratch);
}

void rescaleTo(Context& c, const std::vector<Part>& all, uint32_t subtask, uint32_t parallelism) {
  Range range = rangeOf(subtask, parallelism);
  auto parts = overlapping(all, range);
  printf("\n%zu -> %u, subtask %u: key groups %u-%u from %zu parts:", all.size(), parallelism, subtask, range.first, range.last, parts.size());
  for (auto& p : parts) printf(" %u-%u", p.range.first, p.range.last);
  printf("\n");
  int n = 0;
  auto fresh = [&] { return c.work + "/target-" + std::to_string(all.size()) + std::to_string(subtask) + "-" + std::to_string(n++); };
  auto finish = [&](Database& d, const std::string& path, const Meter& meter, const char* what) {
    check(d.db->Flush(FlushOptions(), d.families), "flush");
    report(meter, what, path);
    { Meter m; verify(c, d.db.get(), d.families[1], range, what); m.print("  reading and comparing all"); }
    d.close();
    fs::remove_all(path);
  };
  using BringIn = std::function<void(const Part&, Database&, const std::string&)>;
  auto inPlace = [&](const char* what, bool exact, const BringIn& bringIn) {
    std::string path = fresh();
    Meter meter;
    linkCopy(parts[0].path, path);
    Database d = c.open(path, {"state"});
    Meter m;
    if (inside(parts[0].range, range)) printf("    nothing to clip in the largest part\n");
    else if (exact) clip(d, range, d.families[1]);
    else deleteOutside(d, range);
    m.print(exact ? "  of this the clip" : "  of this deleteRange and files in range");
    for (size_t i = 1; i < parts.size(); i++) { Meter b; bringIn(parts[i], d, path + "-in" + std::to_string(i)); b.print("  of this bringing a part in"); }
    finish(d, path, meter, what);
  };
  if (parts.size() == 1) {
    inPlace("clip in place", true, {});
    inPlace("deleteRange and files in range, no clip", false, {});
    return;
  }
  inPlace("clip, bring in by iterate + SST + ingest", true, [&](auto& p, auto& d, auto& s) { sstFromIterator(c, p, range, d, s); });
  inPlace("clip, bring in by iterate + write batches", true, [&](auto& p, auto& d, auto& s) { writeFromIterator(c, p, range, d, s); });
  inPlace("clip, bring in by compact + ingest own files", true, [&](auto& p, auto& d, auto& s) { check(ingestOwnFiles(c, p, range, d, s, true), "ingest"); });
  {
    std::string path = fresh();
    linkCopy(parts[0].path, path);
    Database d = c.open(path, {"state"});
    clip(d, range, d.families[1]);
    Status status = ingestOwnFiles(c, parts[1], range, d, path + "-in", false);
    printf("  ingest own files without compacting them: %s\n", status.ToString().c_str());
    d.close();
    fs::remove_all(path);
  }
  const After afters[] = {After::nothing, After::clip, After::deleteOutside};
  for (int when = 0; when < 3; when++) {
    std::string path = fresh();
    Meter meter;
    Status status = importAll(c, parts, range, path, when == 0, afters[when]);
    const char* what = when == 0 ? "clip each, import all into one" : when == 1 ? "import all into one, clip it" : "import all into one, delete outside";
    if (!status.ok()) { printf("  %s: %s\n", what, status.ToString().c_str()); continue; }
    Database d = c.open(path, {"state"});
    finish(d, path, meter, what);
    for (size_t i = 0; i < parts.size(); i++) fs::remove_all(path + "-export" + std::to_string(i));
  }
}

// 2 -> 3 -> 2 without rewriting: what the range tombstones of the first step mean to the second.
void thereAndBack(Context& c, const std::vector<Part>& parts) {
  printf("\n2 -> 3 by import and delete outside, then 3 -> 2\n");
  std::vector<Part> middle;
  for (uint32_t i = 0; i < 3; i++) {
    Range range = rangeOf(i, 3);
    std::string path = c.work + "/middle-" + std::to_string(i);
    check(importAll(c, overlapping(parts, range), range, path, false, After::deleteOutside), "import");
    middle.push_back({path, range});
  }
  for (bool compacted : {false, true}) {
    for (uint32_t i = 0; compacted && i < 3; i++) {
      Meter meter;
      Database d = c.open(middle[i].path, {"state"});
      std::string first = bound(middle[i].range.first), end = bound(middle[i].range.last + 1);
      Slice f(first), e(end);
      if (middle[i].range.first > 0) check(d.db->CompactRange(CompactRangeOptions(), d.families[1], nullptr, &f), "compact");
      if (middle[i].range.last + 1 < keyGroupCount) check(d.db->CompactRange(CompactRangeOptions(), d.families[1], &e, nullptr), "compact");
      meter.print("compact what lies outside");
      verify(c, d.db.get(), d.families[1], middle[i].range, "compacted outside");
    }
    for (uint32_t i = 0; i < 2; i++) {
      Range range = rangeOf(i, 2);
      auto overlap = overlapping(middle, range);
      std::string path = c.work + "/back-" + std::to_string(i);
      Meter meter;
      Status status = importAll(c, overlap, range, path, false, After::deleteOutside);
      printf("  back to %u-%u by import%s: %s\n", range.first, range.last, compacted ? " after compacting what lay outside" : "", status.ToString().c_str());
      if (!status.ok()) {
        fs::remove_all(path);
        linkCopy(overlap[0].path, path);
        Database d = c.open(path, {"state"});
        deleteOutside(d, range);
        sstFromIterator(c, overlap[1], range, d, path + "-in");
      }
      Database d = c.open(path, {"state"});
      report(meter, "and restored", path);
      verify(c, d.db.get(), d.families[1], range, "there and back");
      d.close();
      for (auto& entry : fs::directory_iterator(c.work)) if (entry.path().filename().string().starts_with("back-")) fs::remove_all(entry.path());
    }
  }
  for (auto& part : middle) fs::remove_all(part.path);
}

}  // namespace

int rescale(const std::string& work, int argc, char** argv) {
  Context c{work, uint64_t(argc > 0 ? atof(argv[0]) * 1e6 : 12e6)};
  while (c.rows % 7919 == 0) c.rows++;
  for (auto [from, to] : std::vector<std::pair<uint32_t, uint32_t>>{{2, 3}, {3, 2}}) {
    std::vector<Part> parts;
    for (uint32_t i = 0; i < from; i++) {
      parts.push_back({work + "/part-" + std::to_string(from) + "-" + std::to_string(i), rangeOf(i, from)});
      Meter meter;
      build(c, parts.back().path, parts.back().range);
      report(meter, "building a part", parts.back().path);
    }
    for (uint32_t i = 0; i < to; i++) rescaleTo(c, parts, i, to);
    if (from == 2) thereAndBack(c, parts);
    for (auto& part : parts) fs::remove_all(part.path);
  }
  return 0;
}

}  // namespace spike
