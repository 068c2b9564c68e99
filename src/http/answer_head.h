#pragma once

#include <string>

#include "http/message.h"

namespace similis::http {

/// False for the statuses whose answers end with their head, whatever they say.
bool may_have_body(int status);

/// An answer's first line and fields, up to its body. Values lose what would end a field early.
std::string head_of(const Response& response, bool keep_alive);

}  // namespace similis::http
