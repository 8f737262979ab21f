/*
 * table_writer.h
 *		Writing rows into f6's own tables below the level of statements, many at a time.
 */
#ifndef F6_TABLE_WRITER_H
#define F6_TABLE_WRITER_H

#include "executor/tuptable.h"
#include "utils/relcache.h"

typedef struct f6_table_writer f6_table_writer;

extern f6_table_writer *f6_table_writer_begin(Relation table);
extern bool f6_table_writer_is_plain(const f6_table_writer *writer);
extern void f6_table_writer_one_by_one(f6_table_writer *writer);
extern TupleTableSlot *f6_table_writer_row(f6_table_writer *writer);
extern void f6_table_writer_put(f6_table_writer *writer, Size size);
extern void f6_table_writer_end(f6_table_writer *writer);

#endif /* F6_TABLE_WRITER_H */
