// Files of sorted entries that no database has made, for `ingest`.
#pragma once
#include "js.h"

namespace flinkjob {

/** `writeSst` of the binding. */
napi_value WriteSst(Call& call);

}  // namespace flinkjob
