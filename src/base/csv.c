/* CSV records by RFC 4180: fields separated by commas, quoted with ", a quote inside doubled, line ends and
 * commas allowed inside quotes; rows end with LF or CRLF.
 *
 * A quote that never closes would swallow the rest of the file, so after any bad row reading goes on at the
 * next line: at most the rows that were inside the stray quote are seen as rows of their own.
 */
#include "base/csv.h"
#include <string.h>

/* One row being taken apart. */
typedef struct cut {
    const mien__csv *csv;
    mien__csv_row *row;
    size_t at, used;
} cut;

static int peek(const cut *c)
{
    return c->at < c->csv->size ? (unsigned char)c->csv->data[c->at] : -1;
}

static bool at_end_of_row(const cut *c)
{
    const int b = peek(c);
    return b < 0 || b == '\n' ||
           (b == '\r' && (c->at + 1 == c->csv->size || c->csv->data[c->at + 1] == '\n'));
}

static bool put(cut *c, char b)
{
    if (c->used == MIEN__CSV_MAX_ROW_BYTES) {
        c->row->fault = "it is too long";
        return false;
    }
    c->row->text[c->used++] = b;
    return true;
}

static bool quoted(cut *c)
{
    for (c->at++;; c->at++) {
        const int b = peek(c);
        if (b < 0) {
            c->row->fault = "a quote is not closed";
            return false;
        }
        if (b == '"') {
            c->at++;
            if (peek(c) != '"')
                break;
        }
        if (!put(c, (char)b))
            return false;
    }
    if (!at_end_of_row(c) && peek(c) != ',') {
        c->row->fault = "text follows a closing quote";
        return false;
    }
    return true;
}

static bool bare(cut *c)
{
    for (; !at_end_of_row(c) && peek(c) != ','; c->at++) {
        if (peek(c) == '"') {
            c->row->fault = "a quote stands inside a field that is not quoted";
            return false;
        }
        if (!put(c, (char)peek(c)))
            return false;
    }
    return true;
}

static bool take_fields(cut *c)
{
    for (;;) {
        if (c->row->n == MIEN__CSV_MAX_FIELDS) {
            c->row->fault = "it has too many fields";
            return false;
        }
        const size_t begin = c->used;
        if (!(peek(c) == '"' ? quoted(c) : bare(c)))
            return false;
        if (memchr(c->row->text + begin, '\0', c->used - begin)) {
            c->row->fault = "it holds a zero byte";
            return false;
        }
        if (!put(c, '\0'))
            return false;
        c->row->fields[c->row->n++] = c->row->text + begin;
        if (at_end_of_row(c))
            return true;
        c->at++; /* the comma */
    }
}

static void skip_line(mien__csv *csv)
{
    const char *const from = csv->data + csv->at;
    const char *const end = memchr(from, '\n', csv->size - csv->at);
    csv->at = end ? (size_t)(end - csv->data) + 1 : csv->size;
    csv->line++;
}

mien__csv_got mien__csv_next(mien__csv *csv, mien__csv_row *ret)
{
    if (csv->at == 0 && csv->size >= 3 && memcmp(csv->data, "\xef\xbb\xbf", 3) == 0)
        csv->at = 3; /* byte order mark */
    while (csv->at < csv->size) {
        cut c = { csv, ret, csv->at, 0 };
        if (at_end_of_row(&c)) {
            skip_line(csv);
            continue;
        }
        ret->n = 0;
        ret->line = csv->line;
        ret->fault = NULL;
        if (!take_fields(&c)) {
            skip_line(csv);
            return MIEN__CSV_BAD;
        }
        for (; csv->at < c.at; csv->at++)
            csv->line += csv->data[csv->at] == '\n';
        if (csv->at < csv->size)
            skip_line(csv);
        return MIEN__CSV_ROW;
    }
    return MIEN__CSV_END;
}
