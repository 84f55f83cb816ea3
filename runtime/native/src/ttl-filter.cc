#include "ttl-filter.h"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace flinkjob {

using rocksdb::CompactionFilter;
using rocksdb::Slice;

namespace {

std::atomic<int64_t> ttlNowMs{0};

class TtlFilter : public CompactionFilter {
 public:
  TtlFilter(std::shared_ptr<const std::vector<TtlRule>> rules, int64_t nowMs) : rules_(std::move(rules)), nowMs_(nowMs) {}

  const char* Name() const override { return "flinkjob.TtlFilter"; }

  /** Merge operands stay: only the merged value has a time of death. */
  Decision FilterV2(int, const Slice& key, ValueType type, const Slice& value, std::string*, std::string*) const override {
    return type == ValueType::kValue && IsDead(value) && HasTtl(key) ? Decision::kRemove : Decision::kKeep;
  }

 private:
  bool IsDead(const Slice& value) const {
    int64_t deathMs = 0;
    if (value.size() < sizeof(deathMs)) return false;
    static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
    memcpy(&deathMs, value.data(), sizeof(deathMs));
    return deathMs > 0 && deathMs <= nowMs_;
  }

  bool HasTtl(const Slice& key) const {
    return std::any_of(rules_->begin(), rules_->end(), [&](const TtlRule& rule) {
      return key.size() >= rule.keyOffset && key.size() - rule.keyOffset >= rule.keyBytes.size() &&
             memcmp(key.data() + rule.keyOffset, rule.keyBytes.data(), rule.keyBytes.size()) == 0;
    });
  }

  const std::shared_ptr<const std::vector<TtlRule>> rules_;
  /** One time for a whole compaction, so that it does not depend on how long it takes. */
  const int64_t nowMs_;
};

class TtlFilterFactory : public rocksdb::CompactionFilterFactory {
 public:
  explicit TtlFilterFactory(std::vector<TtlRule> rules)
      : rules_(std::make_shared<const std::vector<TtlRule>>(std::move(rules))) {}

  const char* Name() const override { return "flinkjob.TtlFilterFactory"; }

  std::unique_ptr<CompactionFilter> CreateCompactionFilter(const CompactionFilter::Context&) override {
    return std::make_unique<TtlFilter>(rules_, ttlNowMs.load(std::memory_order_relaxed));
  }

 private:
  const std::shared_ptr<const std::vector<TtlRule>> rules_;
};

}  // namespace

void SetTtlNow(int64_t nowMs) { ttlNowMs.store(nowMs, std::memory_order_relaxed); }

std::shared_ptr<rocksdb::CompactionFilterFactory> MakeTtlFilterFactory(std::vector<TtlRule> rules) {
  return std::make_shared<TtlFilterFactory>(std::move(rules));
}

}  // namespace flinkjob
