/* A plugin of qemu-aarch64: at each `hint #100` it prints a line of three numbers since the one before. They are
   millions of instructions, and megabytes read into a phone's two caches, which were empty. tests/instructions.sh runs
   it.

   Debian packages no header of qemu's plugins. These declarations are those of their interface, version 1, as qemu's
   manual "QEMU TCG Plugins" tells them. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { NO_REGISTERS = 0, LOADS_AND_STORES = 3 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           void (*call)(qemu_plugin_id_t, struct qemu_plugin_tb *));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *instruction);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *instruction, void (*call)(unsigned, void *),
                                            int registers, void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *instruction,
                                      void (*call)(unsigned, qemu_plugin_meminfo_t, uint64_t, void *), int registers,
                                      int kind, void *data);
unsigned qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t info);
bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t info);

int qemu_plugin_version = 1;

enum { LINE = 64, MOST_WAYS = 16, MOST_SETS = 1024 };

/* A cache that forgets the line whose last use is the longest ago. */
struct cache {
    size_t sets, ways;
    uint64_t missed;
    uint64_t lines[MOST_SETS][MOST_WAYS]; /* the newest first; a line's number plus 1, or 0 */
};

/* 64 kB, and 1 MB behind it. */
static struct cache near = {.sets = 256, .ways = 4}, far = {.sets = 1024, .ways = 16};
static uint64_t instructions;

/* Whether a cache has a line, which it has afterwards. */
static bool has(struct cache *cache, uint64_t line, bool is_read) {
    uint64_t *ways = cache->lines[line % cache->sets];
    size_t way = 0;
    while (way < cache->ways - 1 && ways[way] != line + 1)
        way++;
    bool found = ways[way] == line + 1;
    memmove(ways + 1, ways, way * sizeof *ways);
    ways[0] = line + 1;
    cache->missed += is_read && !found;
    return found;
}

static void on_access(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address, void *data) {
    (void)cpu, (void)data;
    bool is_read = !qemu_plugin_mem_is_store(info);
    uint64_t last = address + (1u << qemu_plugin_mem_size_shift(info)) - 1;
    for (uint64_t line = address / LINE; line <= last / LINE; line++)
        if (!has(&near, line, is_read))
            has(&far, line, is_read);
}

static void on_block(unsigned cpu, void *count) {
    (void)cpu;
    instructions += (uintptr_t)count;
}

static void on_hint(unsigned cpu, void *data) {
    (void)cpu, (void)data;
    fprintf(stderr, "%.1f %.1f %.1f\n", instructions / 1e6, near.missed * LINE / 1e6, far.missed * LINE / 1e6);
    instructions = near.missed = far.missed = 0;
    memset(near.lines, 0, sizeof near.lines);
    memset(far.lines, 0, sizeof far.lines);
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    (void)id;
    static const uint8_t hint[4] = {0x9f, 0x2c, 0x03, 0xd5}; /* `hint #100` */
    size_t count = qemu_plugin_tb_n_insns(block);
    for (size_t i = 0; i < count; i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
        if (i == 0)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_block, NO_REGISTERS, (void *)count);
        if (memcmp(qemu_plugin_insn_data(instruction), hint, sizeof hint) == 0)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_hint, NO_REGISTERS, NULL);
        qemu_plugin_register_vcpu_mem_cb(instruction, on_access, NO_REGISTERS, LOADS_AND_STORES, NULL);
    }
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
    (void)info, (void)argc, (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    return argc == 0 ? 0 : -1;
}
