/* Every statement that a gallery runs, by name. Prepared once per handle; parameters are always bound. */
#ifndef MIEN_SRC_GALLERY_SQL_H
#define MIEN_SRC_GALLERY_SQL_H

/* columns of a person, in the order that record.c reads */
#define MIEN__PERSON_COLUMNS                                                                         \
    "id, key, name, note, consent, given_ms, expires_ms, created_ms, changed_ms, seen_ms, n_faces, " \
    "n_images, "                                                                                     \
    "stamp"
/* columns of a face, in the order that faces.c reads */
#define MIEN__FACE_COLUMNS                                                                                \
    "id, person, shape, source, created_ms, outlier, fit, exists(select 1 from image where image.face = " \
    "face.id)"

/* clang-format off */
#define MIEN__SQL_LIST(X)                                                                               \
    X(BEGIN_READ, "begin")                                                                              \
    X(BEGIN_WRITE, "begin immediate")                                                                   \
    X(COMMIT, "commit")                                                                                 \
    X(ROLLBACK, "rollback")                                                                             \
    X(STATE_GET, "select sequence, changed_ms, n_people, n_faces, n_images, audit_entries, audit_head, audit_tag " \
        "from state")                                                                                   \
    X(STATE_SET, "update state set sequence = ?1, changed_ms = ?2, n_people = ?3, n_faces = ?4, n_images = ?5, " \
        "audit_entries = ?6, audit_head = ?7, audit_tag = ?8")                                          \
    X(SEQUENCE, "select sequence from state")                                                           \
    X(GALLERY_GET, "select id, created_ms, model, model_name, dim, purpose, kdf, kdf_ops, kdf_memory, salt, secret " \
        "from gallery")                                                                                 \
    X(GALLERY_ADD, "insert into gallery (one, id, created_ms, model, model_name, dim, purpose, kdf, kdf_ops, " \
        "kdf_memory, salt, secret) values (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")           \
    X(GALLERY_MODEL, "select model from gallery")                                                       \
    X(STATE_ADD, "insert into state (one, sequence, changed_ms, n_people, n_faces, n_images, audit_entries, " \
        "audit_head, audit_tag) values (1, 0, 0, 0, 0, 0, 0, ?1, ?2)")                                  \
    X(CHANGE_ADD, "insert into change (sequence, person) values (?1, ?2)")                              \
    X(CHANGE_PRUNE, "delete from change where sequence <= ?1")                                          \
    X(CHANGE_FIRST, "select min(sequence) from change")                                                 \
    X(CHANGE_SINCE, "select distinct person from change where sequence > ?1 order by person")           \
    X(PERSON_GET, "select " MIEN__PERSON_COLUMNS " from person where id = ?1")                          \
    X(PERSON_AFTER, "select " MIEN__PERSON_COLUMNS " from person where id > ?1 order by id")            \
    X(PERSON_KEY, "select key from person where id = ?1")                                               \
    X(PERSON_THERE, "select 1 from person where id = ?1")                                               \
    X(PERSON_FIND, "select id from person where lookup = ?1")                                           \
    X(PERSON_ADD, "insert into person (id, key, lookup, name, note, consent, given_ms, expires_ms, created_ms, " \
        "changed_ms, seen_ms, n_faces, n_images, stamp) " \
        "values (?1, ?2, ?3, x'', x'', x'', 0, 0, ?4, ?4, ?4, 0, 0, 0)")                                \
    X(PERSON_NEXT, "select max(coalesce((select seq from sqlite_sequence where name = 'person'), 0), " \
        "coalesce((select max(id) from person), 0)) + 1")                                               \
    X(PERSON_NEXT_ID, "select min(id) from person where id > ?1")                                       \
    X(PERSON_NAME, "update person set lookup = ?2, name = ?3 where id = ?1")                            \
    X(PERSON_NOTE, "update person set note = ?2 where id = ?1")                                         \
    X(PERSON_CONSENT, "update person set consent = ?2, given_ms = ?3, expires_ms = ?4 where id = ?1")   \
    X(PERSON_COUNTS, "update person set n_faces = ?2, n_images = ?3, changed_ms = ?4, stamp = ?5 where id = ?1") \
    X(PERSON_CHANGED, "update person set changed_ms = ?2, stamp = ?3 where id = ?1")                    \
    X(PERSON_SEEN, "update person set seen_ms = ?2 where id = ?1")                                      \
    X(PERSON_DELETE, "delete from person where id = ?1")                                                \
    X(PERSON_RAW, "select key, lookup, name, note, consent from person where id = ?1")                  \
    X(TEMPLATE_RAW, "select halves from template where person = ?1")                                    \
    X(FACE_RAW, "select source, halves from face where person = ?1 and (?2 = 0 or id = ?2)")            \
    X(IMAGE_RAW, "select image.data, exists(select 1 from image as other where other.digest = image.digest and " \
        "other.face not in (select id from face where person = ?1 and (?2 = 0 or id = ?2))) " \
        "from image where image.face in (select id from face where person = ?1 and (?2 = 0 or id = ?2))") \
    X(STILL_BYTES, "select exists(select 1 from face where instr(halves, ?1) > 0) or exists(select 1 from template " \
        "where instr(halves, ?1) > 0) or exists(select 1 from image where instr(data, ?1) > 0) " \
        "or exists(select 1 from face where instr(cast(source || halves as blob), ?1) > 0) " \
        "or exists(select 1 from person where instr(cast(name || note as blob), ?1) > 0)")              \
    X(STILL_TEXT, "select exists(select 1 from person where instr(name, ?1) or instr(note, ?1) or instr(consent, ?1)) " \
        "or exists(select 1 from face where instr(source, ?1)) or exists(select 1 from text where instr(value, ?1)) " \
        "or exists(select 1 from gallery where instr(purpose, ?1) or instr(cast(model_name as blob), ?1)) " \
        "or exists(select 1 from sqlite_schema where instr(cast(sql as blob), ?1)) " \
        "or exists(select 1 from audit where instr(cast(action as blob), ?1) or instr(body, ?1))")      \
    X(EXPIRED_COUNT, "select count(*) from person where expires_ms > 0 and expires_ms <= ?1")           \
    X(EXPIRED, "select id from person where expires_ms > 0 and expires_ms <= ?1 order by expires_ms, id limit ?2") \
    X(TEMPLATE_GET, "select person.key, template.halves, person.expires_ms from template join person " \
        "on person.id = template.person where template.person = ?1")                                    \
    X(TEMPLATE_ALL, "select template.person, person.key, template.halves, person.expires_ms from template " \
        "join person on person.id = template.person order by template.person")                          \
    X(TEMPLATE_IDS, "select person from template order by person")                                      \
    X(EXPIRING, "select id, expires_ms from person where expires_ms > 0 order by id")                   \
    X(TEMPLATE_SET, "insert into template (person, halves) values (?1, ?2) " \
        "on conflict (person) do update set halves = excluded.halves")                                  \
    X(TEMPLATE_DELETE, "delete from template where person = ?1")                                        \
    X(FACE_GET, "select " MIEN__FACE_COLUMNS " from face where id = ?1")                                \
    X(FACE_AFTER, "select " MIEN__FACE_COLUMNS " from face where person = ?1 and id > ?2 order by id")  \
    X(FACE_HALVES, "select person, halves from face where id = ?1")                                     \
    X(FACE_SET, "select id, halves, shape, exists(select 1 from image where image.face = face.id) from face where person = ?1 " \
        "order by id")                     \
    X(FACE_COUNT, "select count(*) from face where person = ?1")                                        \
    X(FACE_NEXT, "select max(coalesce((select seq from sqlite_sequence where name = 'face'), 0), " \
        "coalesce((select max(id) from face), 0)) + 1")                                                 \
    X(FACE_ADD, "insert into face (id, person, shape, source, halves, picture, created_ms, outlier, fit) " \
        "values (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 1.0)")                                                  \
    X(FACE_FIT, "update face set outlier = ?2, fit = ?3 where id = ?1")                                 \
    X(FACE_PICTURE, "select id from face where picture = ?1 and person = ?2")                           \
    X(FACE_DELETE, "delete from face where id = ?1")                                                    \
    X(FACE_DELETE_ALL, "delete from face where person = ?1")                                            \
    X(FACE_PERSON, "select person from face where id = ?1")                                             \
    X(IMAGE_ADD, "insert into image (face, digest, data) values (?1, ?2, ?3)")                          \
    X(IMAGE_GET, "select face.person, image.data from image join face on face.id = image.face where image.face = ?1") \
    X(IMAGE_COUNT, "select count(*) from image where face in (select id from face where person = ?1)")  \
    X(IMAGE_OF, "select count(*) from image where face = ?1")                                           \
    X(IMAGE_DELETE, "delete from image where face = ?1")                                                \
    X(IMAGE_DELETE_ALL, "delete from image where face in (select id from face where person = ?1)")      \
    X(AUDIT_ADD, "insert into audit (number, time_ms, action, subject, body, hash) values (?1, ?2, ?3, ?4, ?5, ?6)") \
    X(AUDIT_AFTER, "select number, time_ms, action, subject, body, hash from audit where number > ?1 order by number") \
    X(FACE_MOVE, "update face set person = ?2, source = ?3, halves = ?4 where id = ?1")                 \
    X(FACE_SEALED, "select person, source, halves from face where id = ?1")                             \
    X(IMAGE_SET, "update image set data = ?2 where face = ?1")                                          \
    X(PERSON_STAMP, "update person set stamp = ?2 where id = ?1")                                       \
    X(PERSON_TIMES, "update person set created_ms = ?2, seen_ms = ?3 where id = ?1")                    \
    X(STAMP_GET, "select stamp from person where id = ?1")                                              \
    X(JOURNAL_NEXT, "select coalesce(max(id), 0) + 1 from journal")                                     \
    X(JOURNAL_ADD, "insert into journal (id, kind, person, other, person_stamp, other_stamp, time_ms, data) " \
        "values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")                                                      \
    X(JOURNAL_DOWN, "select id, kind, person, other, person_stamp, other_stamp, data from journal order by id desc") \
    X(JOURNAL_OF, "select id, kind, person, other, person_stamp, other_stamp, data from journal " \
        "where person = ?1 or other = ?1")                                                              \
    X(JOURNAL_DELETE, "delete from journal where id = ?1")                                              \
    X(JOURNAL_PURGE, "delete from journal where person = ?1 or other = ?1")                             \
    X(JOURNAL_PRUNE, "delete from journal where id <= ?1")                                              \
    X(COUNT_PEOPLE, "select count(*) from person")                                                      \
    X(COUNT_FACES, "select count(*) from face")                                                         \
    X(COUNT_IMAGES, "select count(*) from image")                                                       \
    X(IMAGE_FACES, "select face from image where face in (select id from face where person = ?1) order by face") \
    X(TEXT_ALL, "select key, value from text")                                                          \
    X(JOURNAL_ALL, "select person from journal order by id")                                            \
    X(GALLERY_KEY, "update gallery set kdf = ?1, kdf_ops = ?2, kdf_memory = ?3, salt = ?4, secret = ?5") \
    X(GALLERY_MOVE, "update gallery set model = ?1, model_name = ?2, dim = ?3")                         \
    X(FACE_NEW_HALVES, "update face set halves = ?2 where id = ?1")                                     \
    X(TEXT_GET, "select value from text where key = ?1")                                                \
    X(TEXT_SET, "insert into text (key, value) values (?1, ?2) on conflict (key) do update set value = excluded.value") \
    X(TEXT_DELETE, "delete from text where key = ?1")                                                   \
    X(REFUSED_FIND, "select id from do_not_enrol where lookup = ?1")                                    \
    X(REFUSED_CODES, "select id, code from do_not_enrol where length(code) > 0")                        \
    X(REFUSED_NEXT, "select coalesce(max(id), 0) + 1 from do_not_enrol")                                \
    X(REFUSED_ADD, "insert into do_not_enrol (id, lookup, code, added_ms) values (?1, ?2, ?3, ?4)")     \
    X(REFUSED_NO_CODES, "update do_not_enrol set code = x''")                                           \
    X(REFUSED_COUNT, "select count(*) from do_not_enrol")
/* clang-format on */

typedef enum mien__sql {
#define MIEN__SQL_ENUM(name, text) MIEN__SQL_##name,
    MIEN__SQL_LIST(MIEN__SQL_ENUM)
#undef MIEN__SQL_ENUM
        MIEN__SQL_COUNT
} mien__sql;

#endif
