/* All of mien's public headers. */
#ifndef MIEN_MIEN_H
#define MIEN_MIEN_H

#include <mien/album.h>
#include <mien/base.h>
#include <mien/cluster.h>
#include <mien/decide.h>
#include <mien/eval.h>
#include <mien/face.h>
#include <mien/gallery.h>
#include <mien/image.h>
#include <mien/model.h>
#include <mien/quality.h>
#include <mien/search.h>
#include <mien/session.h>
#include <mien/status.h>
#include <mien/track.h>
#include <mien/video.h>

#endif
