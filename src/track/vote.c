/* From looks to a name that holds.
 *
 * Every look votes for its best candidate, if that reaches the threshold. A person is named when enough looks
 * have voted for them and the fused template reaches the threshold too: one lucky frame names nobody. A name
 * stays while its similarity is not clearly under the threshold (hysteresis); it is withdrawn after several
 * looks in a row that do not bear it out, and given to another only when that one has more votes than were
 * needed, reaches the threshold, and is clearly ahead. A person whom another track in view holds with the
 * better claim is out of question.
 */
#include "track/track.h"

void mien__vote(mien__history *h, const mien_track_candidate *c, size_t n, double threshold)
{
    if (n == 0 || c[0].similarity < threshold)
        return;
    int at = 0; /* their row, or a free one, or that of the fewest votes */
    for (int i = 0; i < MIEN__VOTES; i++) {
        if (h->votes[i].person == c[0].person) {
            h->votes[i].count++;
            return;
        }
        if (h->votes[i].count < h->votes[at].count)
            at = i;
    }
    h->votes[at].person = c[0].person;
    h->votes[at].count = 1;
}

int mien__votes_of(const mien__history *h, int64_t person)
{
    for (int i = 0; i < MIEN__VOTES; i++) {
        if (h->votes[i].count > 0 && h->votes[i].person == person)
            return h->votes[i].count;
    }
    return 0;
}

void mien__votes_forget(mien__history *h, int64_t person)
{
    for (int i = 0; i < MIEN__VOTES; i++) {
        if (h->votes[i].person == person)
            h->votes[i].person = 0, h->votes[i].count = 0;
    }
}

static double similarity_with(int64_t person, const mien_track_candidate *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (c[i].person == person)
            return c[i].similarity;
    }
    return -2; /* not among the best: surely under the threshold */
}

/* The first candidate who may be named with that many votes and that similarity; n when there is none. */
static size_t nameable(const mien__history *h, const mien_track_candidate *c, size_t n, double least,
                       int votes, const double *to_beat)
{
    for (size_t i = 0; i < n; i++) {
        if (c[i].similarity >= least && c[i].person != h->t.person &&
            mien__votes_of(h, c[i].person) >= votes && c[i].similarity > to_beat[i])
            return i;
    }
    return n;
}

mien__verdict mien__decide_name(mien__history *h, const mien_track_opts *o, const mien_track_candidate *c,
                                size_t n, double threshold, const double *to_beat)
{
    const double best = n ? c[0].similarity : 0;
    if (h->t.state == MIEN_TRACK_KNOWN) {
        const double mine = similarity_with(h->t.person, c, n);
        const bool borne_out = mine >= threshold - o->hysteresis;
        h->misses = borne_out ? 0 : h->misses + 1;
        const double ahead = mine + o->hysteresis;
        const size_t rival =
            nameable(h, c, n, ahead > threshold ? ahead : threshold, o->min_votes + 1, to_beat);
        if (rival < n)
            return (mien__verdict){ MIEN_TRACK_KNOWN, c[rival].person, c[rival].similarity };
        if (h->misses <=
            o->min_votes) /* as it was; the similarity too while the person is not among the best */
            return (mien__verdict){ MIEN_TRACK_KNOWN, h->t.person, mine > -2 ? mine : h->t.similarity };
        return (mien__verdict){ MIEN_TRACK_UNKNOWN, 0, best };
    }
    const size_t i = nameable(h, c, n, threshold, o->min_votes, to_beat);
    if (i < n)
        return (mien__verdict){ MIEN_TRACK_KNOWN, c[i].person, c[i].similarity };
    const bool enough = h->t.looks >= o->unknown_looks;
    return (mien__verdict){ enough ? MIEN_TRACK_UNKNOWN : h->t.state, 0, best };
}
