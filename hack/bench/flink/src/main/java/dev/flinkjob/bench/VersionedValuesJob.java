package dev.flinkjob.bench;

import java.io.IOException;
import java.nio.file.Path;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.connector.datagen.source.GeneratorFunction;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * Gives every key a value as fast as it can, then replaces values at a steady rate; the counterpart of jobs/versioned-values.ts. A value that is read
 * must be the one that was written last.
 */
public final class VersionedValuesJob {
    private static final int VALUE_SIZE = 100;
    private static final long SAMPLE_MASK = (1 << 10) - 1;

    private VersionedValuesJob() {}

    public static void main(String[] words) throws Exception {
        Arguments arguments = new Arguments(words);
        long keyCount = Long.parseLong(arguments.get("keys"));
        PacedKeys keys = new PacedKeys(
                new KeySequence(Integer.parseInt(arguments.get("seed")), keyCount),
                keyCount,
                Long.parseLong(arguments.get("updatesPerSecond")));

        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        env.setMaxParallelism(128);
        env.fromSource(
                        new DataGeneratorSource<>(keys, Long.MAX_VALUE, Types.TUPLE(Types.LONG, Types.INT)),
                        WatermarkStrategy.noWatermarks(),
                        "keys")
                .setParallelism(1)
                .uid("keys")
                .keyBy(record -> record.f1)
                .process(new Update(keyCount))
                .uid("values")
                .returns(Types.TUPLE(Types.LONG, Types.INT, Types.INT))
                .sinkTo(new VersionsSink(arguments.get("progress")))
                .uid("sink");
        env.execute("versioned-values");
    }

    /** The first records, one for each key, come as fast as they are taken; each later one when it is due since the first one that was asked for. */
    private static final class PacedKeys implements GeneratorFunction<Long, Tuple2<Long, Integer>> {
        private static final long serialVersionUID = 1L;

        private final KeySequence keys;
        private final long keyCount;
        private final long updatesPerSecond;
        private transient long firstIndex;
        private transient long sinceNanos;

        PacedKeys(KeySequence keys, long keyCount, long updatesPerSecond) {
            this.keys = keys;
            this.keyCount = keyCount;
            this.updatesPerSecond = updatesPerSecond;
        }

        @Override
        public Tuple2<Long, Integer> map(Long index) throws InterruptedException {
            if (index >= keyCount) {
                waitUntilDue(index);
            }
            return Tuple2.of(index, (int) keys.keyAt(index));
        }

        /** Barriers wait with the record: a millisecond or two. */
        private void waitUntilDue(long index) throws InterruptedException {
            if (sinceNanos == 0) {
                firstIndex = index;
                sinceNanos = System.nanoTime();
            }
            long dueNanos = sinceNanos + (index - firstIndex) * 1_000_000_000L / updatesPerSecond;
            long earlyMillis = (dueNanos - System.nanoTime() + 999_999) / 1_000_000;
            if (earlyMillis > 0) {
                Thread.sleep(earlyMillis);
            }
        }
    }

    private static final class Update extends KeyedProcessFunction<Integer, Tuple2<Long, Integer>, Tuple3<Long, Integer, Integer>> {
        private static final long serialVersionUID = 1L;

        private final long keyCount;
        private transient GeneratedValues values;
        private transient ValueState<Tuple2<Integer, byte[]>> stored;

        Update(long keyCount) {
            this.keyCount = keyCount;
        }

        @Override
        public void open(OpenContext context) {
            values = new GeneratedValues(VALUE_SIZE);
            stored = getRuntimeContext()
                    .getState(new ValueStateDescriptor<>(
                            "stored", Types.TUPLE(Types.INT, PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO)));
        }

        @Override
        public void processElement(Tuple2<Long, Integer> record, Context context, Collector<Tuple3<Long, Integer, Integer>> out)
                throws Exception {
            int key = record.f1;
            Tuple2<Integer, byte[]> before = stored.value();
            boolean isExpected = record.f0 >= keyCount;
            if (isExpected != (before != null) || (before != null && !values.isValueOf(before.f1, key, before.f0))) {
                throw new IllegalStateException("wrong state of key " + key + " at record " + record.f0);
            }
            int version = before == null ? 1 : before.f0 + 1;
            stored.update(Tuple2.of(version, values.valueOf(key, version)));
            out.collect(Tuple3.of(record.f0, key, version));
        }
    }

    /** Samples one of 1024 records, by their number in the source, which does not depend on parallelism and restarts. */
    private static final class VersionsSink implements Sink<Tuple3<Long, Integer, Integer>> {
        private static final long serialVersionUID = 1L;

        private final String progressDirectory;

        VersionsSink(String progressDirectory) {
            this.progressDirectory = progressDirectory;
        }

        @Override
        public SinkWriter<Tuple3<Long, Integer, Integer>> createWriter(WriterInitContext context) throws IOException {
            return new Writer(new ProgressFile(Path.of(progressDirectory), context.getTaskInfo().getIndexOfThisSubtask()));
        }
    }

    private static final class Writer implements SinkWriter<Tuple3<Long, Integer, Integer>> {
        private final ProgressFile progress;
        private long records;

        Writer(ProgressFile progress) {
            this.progress = progress;
        }

        @Override
        public void write(Tuple3<Long, Integer, Integer> record, Context context) {
            if (records == 0) {
                progress.firstRecord();
            }
            if ((record.f0 & SAMPLE_MASK) == 0) {
                progress.sample(record.f0, record.f1 + " " + record.f2);
            }
            progress.setRecords(++records);
        }

        @Override
        public void flush(boolean endOfInput) {}

        @Override
        public void close() {
            progress.close();
        }
    }
}
